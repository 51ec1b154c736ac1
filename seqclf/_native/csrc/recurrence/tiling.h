// Layout of the values of units, and sizes of the tiles, for forward and backward.
#pragma once
#include "abi.h"
#include "aligned_buffer.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

#if defined(__AVX512VL__)
static const int N_REGISTERS = 32;
typedef v16 wide;
#else
static const int N_REGISTERS = 16;
typedef v8 wide;
#endif

static inline int64_t round_up(int64_t n) { return (n + 7) / 8 * 8; }

// Units (or the columns of a matrix) are processed in blocks of one `wide` vector, and of eight units at the end if no more
// remain. Arrays with several values per unit have the layout [block][value][unit of the block].
struct Block {
  int64_t first, size;

  // The block of a unit; `width` is round_up(units).
  Block(int64_t unit, int64_t width)
      : first(unit / lanes<wide> * lanes<wide>), size(width - first < lanes<wide> ? 8 : lanes<wide>) {}
};

// The offset of value `index` of `n` of a unit.
static inline int64_t blocked_offset(int64_t unit, int64_t width, int index, int64_t n) {
  const Block block(unit, width);
  return block.first * n + index * block.size + unit - block.first;
}

// The maximum number of blocks of units in a tile: two for a cell with one slot, because a tile of one block would do more
// loads than multiply-adds.
template <class Cell> static constexpr int max_blocks = Cell::slots == 1 ? 2 : 1;

// The number of rows of a tile with `accumulators` vectors of sums per row. The registers have to hold all sums, one vector of
// weights for each accumulator of a row, and the value that the weights are multiplied by:
//
//   accumulators of a row        1        2        3        4
//   16 registers             12 + 2    12 + 3   12 + 4   12 + 5
//   32 registers             12 + 2    24 + 3   24 + 4   24 + 5
//
// With 4 accumulators and 16 registers that is one too many, so the compiler uses one vector of weights as a memory operand.
// Twelve sums hide the latency of fused multiply-adds (two per cycle, four or five cycles each). With one accumulator per row,
// more rows are not faster. With 128-bit registers a v8 takes two: NEON has 32, and SSE, which has 16, spills half of a tile to
// memory.
//
// The loops over the rows and accumulators of a tile are unrolled (#pragma GCC unroll, with a number that none of them
// exceeds), because an array is in registers only if every index is a constant.
static constexpr int rows_of_tile(int accumulators) {
  if (accumulators == 1) return 12;
  return (N_REGISTERS == 32 ? 24 : 12) / (accumulators < 4 ? accumulators : 4);
}
template <int ACCUMULATORS> struct Tile {
  static const int rows = rows_of_tile(ACCUMULATORS);
};

// Divides n rows into tiles of nearly equal size, so that the last tile is not much smaller than the others.
struct EvenTiles {
  int64_t n, count;
  EvenTiles(int64_t size, int64_t max_size) : n(size), count((size + max_size - 1) / max_size) {}
  int64_t first(int64_t tile) const { return n * tile / count; }
};

// Sets the lanes beyond the last unit to zero: an infinite input times a padded weight of zero is NaN, which must not reach the
// other units through the recurrent weights.
template <class V> static inline V zero_beyond(V value, int64_t unit, int64_t units) {
  if (unit + lanes<V> <= units) return value;
  float values[lanes<V>];
  store(values, value);
  for (int64_t k = units - unit; k < lanes<V>; k++) values[k] = 0.0f;
  return load<V>(values);
}

}  // namespace ISA
}  // namespace seqclf
