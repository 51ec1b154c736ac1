// Packs the weights in the order in which the tiles of forward read them, and projects inputs onto the gates.
#pragma once
#include "aligned_buffer.h"
#include "cells/cell.h"
#include "recurrence/tiling.h"

namespace seqclf {
namespace ISA {

// sums[i][OFFSET + g] += row i (n values) times weights. Their shape is (n, GATES, lanes), or (BLOCKS, n, lanes) with several
// blocks of a single gate. The sums, the weights of one k and a value have to fit in the registers: see tiling.h.
template <class V, int ROWS, int SLOTS, int BLOCKS, int GATES, int OFFSET>
static inline __attribute__((always_inline)) void accumulate(V (&sums)[ROWS][SLOTS], const float *const *rows,
                                                             const float *weights, int64_t n) {
  static_assert(BLOCKS == 1 || GATES == 1, "several blocks of several gates");
  const int columns = BLOCKS * GATES;
  const int64_t column_stride = BLOCKS == 1 ? lanes<V> : n * lanes<V>;
  for (int64_t k = 0; k < n; k++, weights += GATES * lanes<V>) {
    V w[columns];
#pragma GCC unroll 8
    for (int g = 0; g < columns; g++) w[g] = load<V>(weights + column_stride * g);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      const V value = broadcast<V>(rows[i][k]);
#pragma GCC unroll 8
      for (int g = 0; g < columns; g++) sums[i][OFFSET + g] += value * w[g];
    }
  }
}

// Packs `n` columns of a weight matrix with row length `stride` as [block of units][k][gate][unit], zero beyond the last unit.
template <class Cell>
static void pack(Buffer<float> &packed, int64_t units, const float *weights, int64_t stride, int64_t n, bool recurrent) {
  const int gates = Cell::gates;
  const int64_t width = round_up(units), padded_n = recurrent ? width : n;
  packed.allocate(width * padded_n * gates);
  for (int gate = 0; gate < gates; gate++) {
    const float *source = weights + torch_gate<Cell>(gate, recurrent) * units * stride;
    for (int64_t unit = 0; unit < units; unit++) {
      const Block block(unit, width);
      float *target = packed.data() + block.first * padded_n * gates + gate * block.size + unit - block.first;
      for (int64_t k = 0; k < n; k++) target[k * gates * block.size] = source[unit * stride + k];
    }
  }
}

// The bias of each slot: that of the inputs, that of the state, or their sum.
template <class Cell> static void pack_bias(Buffer<float> &packed, int64_t units, const Direction &weights) {
  const int64_t width = round_up(units);
  packed.allocate(Cell::slots * width);
  for (int gate = 0; gate < Cell::gates; gate++) {
    const float *bias = weights.bias + torch_gate<Cell>(gate, false) * units;
    memcpy(packed.data() + gate * width, bias, units * sizeof(float));
  }
  for (int gate = 0; gate < Cell::gates && Cell::has_recurrent_bias; gate++) {
    const float *bias = weights.bias_recurrent + torch_gate<Cell>(gate, true) * units;
    const int slot = Cell::recurrent_offset + gate;
    for (int64_t unit = 0; unit < units; unit++)
      packed[slot * width + unit] = slot < Cell::gates ? packed[slot * width + unit] + bias[unit] : bias[unit];
  }
}

// The sums of the gates for each one-hot id, including the bias: [id][block of units][gate][unit].
template <class Cell>
static void pack_one_hot(Buffer<float> &table, const Layer &layer, const Direction &weights, const Buffer<float> &bias) {
  const int gates = Cell::gates;
  const int64_t units = layer.units, width = round_up(units), stride = layer.n_looked_up + layer.n_values;
  table.allocate(layer.n_looked_up * width * gates);
  for (int gate = 0; gate < gates; gate++)
    for (int64_t unit = 0; unit < units; unit++) {
      const float *source = weights.weight_input + (torch_gate<Cell>(gate, false) * units + unit) * stride;
      float *target = table.data() + blocked_offset(unit, width, gate, gates);
      for (int64_t id = 0; id < layer.n_looked_up; id++) target[id * width * gates] = bias[gate * width + unit] + source[id];
    }
}

struct Packed {
  Buffer<float> inputs, recurrent, bias, one_hot;
  const float *looked_up = nullptr;  // the sums of the gates for each id: `one_hot`, or those of a Projection; or null
};

// The bias plus ROWS rows of inputs times the weights, summed in the order of forward_tile, which continues from there: the
// result has the same bits. `projected` is (n, [block of units][gate][unit]).
template <class V, class Cell, int ROWS>
static void project_tiles(const Packed &packed, int64_t width, const float *const *inputs, int64_t n_multiplied,
                          float *projected, int64_t unit, int64_t n) {
  if (n == ROWS) {
    const int gates = Cell::gates;
    V sums[ROWS][gates];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; gate++) sums[i][gate] = load<V>(packed.bias.data() + gate * width + unit);
    accumulate<V, ROWS, gates, 1, gates, 0>(sums, inputs, packed.inputs.data() + unit * n_multiplied * gates, n_multiplied);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; gate++) store(projected + (i * width + unit) * gates + gate * lanes<V>, sums[i][gate]);
  } else if constexpr (ROWS > 1) {
    project_tiles<V, Cell, ROWS - 1>(packed, width, inputs, n_multiplied, projected, unit, n);
  }
}

template <class Cell>
static void project_rows(const Packed &packed, int64_t width, const float *const *inputs, int64_t n_multiplied,
                         float *projected, int64_t n) {
  const int max_rows = Tile<Cell::slots>::rows;
  const EvenTiles tiles(n, max_rows);
  for (int64_t unit = 0; unit < width; unit += Block(unit, width).size)
    for (int64_t tile = 0; tile < tiles.count; tile++) {
      const int64_t first = tiles.first(tile), rows = tiles.first(tile + 1) - first;
      float *to = projected + first * width * Cell::gates;
      if (Block(unit, width).size == lanes<wide>)
        project_tiles<wide, Cell, max_rows>(packed, width, inputs + first, n_multiplied, to, unit, rows);
      else
        project_tiles<v8, Cell, max_rows>(packed, width, inputs + first, n_multiplied, to, unit, rows);
    }
}

}  // namespace ISA
}  // namespace seqclf
