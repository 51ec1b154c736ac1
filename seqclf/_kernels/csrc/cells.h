// What forward and backward share: how a cell's gates lie, which rows a part has, how large the tiles are.
#pragma once
#include "buffer.h"
#include "interface.h"
#include "vector.h"

#if defined(__AVX512VL__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

namespace seqclf {
namespace ISA {

static inline int64_t round_up(int64_t n) { return (n + 7) / 8 * 8; }

// Gates in the order in which the kernels hold them. The gru keeps the input and the recurrent part of n apart, and has
// them at the ends: its inputs go into the first three, its hidden state into the last three.
template <int CELL> struct Shape { static const int slots = 1, gates = 1, recurrent_offset = 0; };
template <> struct Shape<LSTM> { static const int slots = 4, gates = 4, recurrent_offset = 0; };
template <> struct Shape<GRU> { static const int slots = 4, gates = 3, recurrent_offset = 1; };

// Which of torch's gates stands at place `gate` of the inputs' weights, or of the recurrent weights.
template <int CELL> static int torch_gate(int gate, bool recurrent) {
  if (CELL != GRU) return gate;
  static const int input[3] = {2, 0, 1}, hidden[3] = {0, 1, 2};  // n, r, z and r, z, n
  return recurrent ? hidden[gate] : input[gate];
}

// Rows of a tile: as many as leave registers for a row of weights and a broadcast value.
template <int ACCUMULATORS> struct Tile {
  static const int rows = REGISTERS == 32 ? (ACCUMULATORS >= 4 ? 6 : ACCUMULATORS == 3 ? 8 : ACCUMULATORS == 2 ? 12 : 12)
                                          : (ACCUMULATORS >= 4 ? 3 : ACCUMULATORS == 3 ? 4 : ACCUMULATORS == 2 ? 6 : 12);
};

// The rows of a part: every so many-th group of neighbours, so that long and short sequences are shared out evenly.
struct Rows {
  Buffer<int64_t> rows;
  int64_t n = 0;
  Rows(int64_t n_rows, int64_t part, int64_t n_parts) : rows(n_rows) {
    int64_t group = (n_rows + n_parts - 1) / n_parts;
    if (group > 8) group = 8;
    for (int64_t first = part * group; first < n_rows; first += n_parts * group)
      for (int64_t row = first; row < first + group && row < n_rows; row++) rows[n++] = row;
  }
  int64_t operator[](int64_t j) const { return rows[j]; }
};

// How many of the rows (rising) are below `bound`; `count` is an upper limit of it.
static inline int64_t prefix(const Rows &rows, int64_t bound, int64_t count) {
  while (count > 0 && rows[count - 1] >= bound) count--;
  return count;
}

// Zeros in the lanes beyond the last unit: an infinite input times a weight of zero is NaN there, which must not come back
// through the recurrent weights.
static inline v8 within(v8 value, int64_t unit, int64_t units) {
  if (unit + 8 <= units) return value;
  float lanes[8];
  store(lanes, value);
  for (int64_t k = units - unit; k < 8; k++) lanes[k] = 0.0f;
  return load(lanes);
}

}  // namespace ISA
}  // namespace seqclf
