// What forward and backward share: how the numbers of units lie, how large the tiles are.
#pragma once
#include "abi.h"
#include "aligned_buffer.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

#if defined(__AVX512VL__)
static const int registers = 32;
typedef v16 wide;
#else
static const int registers = 16;
typedef v8 wide;
#endif

static inline int64_t round_up(int64_t n) { return (n + 7) / 8 * 8; }

// Units (or the columns of a matrix) are taken a block at a time: as many as `wide` holds, and in the end eight where no more
// are left. A unit's numbers, several to a unit, lie block by block: [block][number][unit of the block].
struct Block {
  int64_t first, size;

  // That of a unit, `width` being round_up(units).
  Block(int64_t unit, int64_t width)
      : first(unit / lanes<wide> * lanes<wide>), size(width - first < lanes<wide> ? 8 : lanes<wide>) {}
};

// Where number `number` of `n` stands, of a unit.
static inline int64_t place(int64_t unit, int64_t width, int number, int64_t n) {
  const Block block(unit, width);
  return block.first * n + number * block.size + unit - block.first;
}

// How many blocks of units are taken together where so many are left: two of a cell with one number to a unit, since a tile of
// one block would have more to load than to compute.
template <class Cell> static constexpr int most_blocks = Cell::slots == 1 ? 2 : 1;

// The rows of a tile, each of which has that many accumulators. All of them have to stay in registers, and one more register
// for each accumulator of a row holds a vector of weights, and one the value that they are multiplied by:
//
//   accumulators of a row        1        2        3        4
//   16 registers             12 + 2    12 + 3   12 + 4   12 + 5
//   32 registers             12 + 2    24 + 3   24 + 4   24 + 5
//
// With 4 accumulators and 16 registers that is one too many, so that the compiler reads one vector of weights from memory as
// an operand. Twelve accumulators hide the latency of fused multiply-adds (two a cycle, four or five cycles each); with one
// accumulator a row, more rows do not pay. Where registers hold 128 bits, a v8 takes two of them: NEON has 32, and SSE, which
// has 16, keeps half of a tile in memory.
//
// The loops over the rows and the accumulators of a tile are unrolled (#pragma GCC unroll, with a number that none of them
// exceeds), because an array is in registers only where every index is known.
static constexpr int rows_of_tile(int accumulators) {
  if (accumulators == 1) return 12;
  return (registers == 32 ? 24 : 12) / (accumulators < 4 ? accumulators : 4);
}
template <int ACCUMULATORS> struct Tile {
  static const int rows = rows_of_tile(ACCUMULATORS);
};

// Tiles of nearly equal size: none is left with a single row.
struct Tiling {
  int64_t n, tiles;
  Tiling(int64_t count, int64_t most) : n(count), tiles((count + most - 1) / most) {}
  int64_t first(int64_t tile) const { return n * tile / tiles; }
};

// Zeros in the lanes beyond the last unit: an infinite input times a weight of zero is NaN there, which must not come back
// through the recurrent weights.
template <class V> static inline V within(V value, int64_t unit, int64_t units) {
  if (unit + lanes<V> <= units) return value;
  float kept[lanes<V>];
  store(kept, value);
  for (int64_t k = units - unit; k < lanes<V>; k++) kept[k] = 0.0f;
  return load<V>(kept);
}

}  // namespace ISA
}  // namespace seqclf
