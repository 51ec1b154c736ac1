// Computes the gradients of the weights, the inputs and the previous states from those of the gates: matrix products over a
// block of steps.
#pragma once
#include <string.h>

#include "cells/cell.h"
#include "parallel.h"
#include "recurrence/partition.h"
#include "recurrence/step_inputs.h"
#include "recurrence/tiling.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// In training, ids without an embedding are one-hot vectors: a projected embedding has no gradients.
static inline bool is_one_hot(const Backward &call) { return call.layer.n_looked_up && !call.inputs.embedding; }

// The number of multiplied inputs of a step that get a gradient. They are the first ones: the vector of the id if there is an
// embedding, or else the numeric values.
static inline int64_t n_grad_inputs(const Backward &call) {
  return call.inputs.embedding ? call.layer.n_looked_up : call.layer.n_values;
}

// Context of the backward pass of one direction.
struct BackwardPass {
  const Backward &call;
  const int64_t index;
  const Direction &direction;
  const int64_t units, width;
  const float *const outputs, *const memory;  // this direction's
  float *const gates;
  const float *const grad_outputs;
  const int64_t stride;  // from step to step in `outputs`

  BackwardPass(const Backward &backward, int64_t i, int64_t slots)
      : call(backward), index(i), direction(call.layer.directions[index]), units(call.layer.units), width(round_up(units)),
        outputs(call.outputs + index * width),
        memory(call.memory ? call.memory + index * n_steps(call.batch) * width : nullptr),
        gates(call.gates ? call.gates + index * n_steps(call.batch) * width * slots : nullptr),
        grad_outputs(call.grad_outputs + index * units), stride(call.layer.n_directions * width) {}
};

// The number of columns of the next panel. Two vectors if at most seven lanes are unused, because both use the same loads of
// the gradients; else one vector, or eight columns at the end.
static inline int64_t panel_width(int64_t remaining) {
  const int64_t one = lanes<wide>;
  return remaining > 2 * one - 8 ? 2 * one : remaining > 8 ? one : 8;
}

// Weights packed for backward: [panel of columns][gate and unit, in the order of the gradients of a step][column of the panel],
// zero beyond the last unit and the last column.
struct Transposed {
  Buffer<float> inputs, recurrent;
};

template <class Cell>
static void pack_transposed(Buffer<float> &packed, int64_t units, const float *weights, int64_t stride, int64_t n,
                            bool recurrent) {
  const int gates = Cell::gates;
  const int64_t width = round_up(units), depth = gates * width;
  packed.allocate(round_up(n) * depth);
  for (int gate = 0; gate < gates; gate++) {
    const float *source = weights + torch_gate<Cell>(gate, recurrent) * units * stride;
    for (int64_t unit = 0; unit < units; unit++) {
      const int64_t row = blocked_offset(unit, width, gate, gates);
      for (int64_t first = 0; first < n; first += panel_width(n - first)) {
        const int64_t size = panel_width(n - first);
        for (int64_t k = 0; k < size && first + k < n; k++)
          packed[first * depth + row * size + k] = source[unit * stride + first + k];
      }
    }
  }
}

// The first `n` floats of a vector, then zeros.
template <class V> static inline V load_first(const float *from, int64_t n) {
  if (n >= lanes<V>) return load<V>(from);
  float first[lanes<V>] = {0};
  if (n > 0) memcpy(first, from, n * sizeof(float));
  return load<V>(first);
}

// targets (ROWS, BLOCKS vectors) = grads (ROWS, gates of `width` units) times weights, from `column` on; with `add` they are
// added to. The sums are in registers. grads has SLOTS values for each unit, of which GATES from OFFSET on are used. Only
// `columns` columns are written.
template <class V, int SLOTS, int GATES, int OFFSET, int BLOCKS, int ROWS>
static inline void backprop_tile(const float *grads, int64_t stride, int64_t width, const float *weights, float *const *targets,
                                 int64_t column, int64_t columns, bool add) {
  const int size = lanes<V>;
  V sums[ROWS][BLOCKS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++)
      sums[i][b] = add ? load_first<V>(targets[i] + column + size * b, columns - size * b) : broadcast<V>(0.0f);
  for (int64_t unit = 0; unit < width;) {
    // If all slots are used, the blocks are contiguous.
    const int64_t n_contiguous = SLOTS == GATES ? width : Block(unit, width).size;
    const float *from = grads + unit * SLOTS + OFFSET * n_contiguous;
    for (int64_t k = 0; k < GATES * n_contiguous; k++, weights += BLOCKS * size) {
      V w[BLOCKS];
#pragma GCC unroll 2
      for (int b = 0; b < BLOCKS; b++) w[b] = load<V>(weights + size * b);
#pragma GCC unroll 16
      for (int i = 0; i < ROWS; i++) {
        const V value = broadcast<V>(from[i * stride + k]);
#pragma GCC unroll 2
        for (int b = 0; b < BLOCKS; b++) sums[i][b] += value * w[b];
      }
    }
    unit += n_contiguous;
  }
  if (columns >= BLOCKS * size) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
      for (int b = 0; b < BLOCKS; b++) store(targets[i] + column + size * b, sums[i][b]);
  } else {
    for (int i = 0; i < ROWS; i++) memcpy(targets[i] + column, sums[i], columns * sizeof(float));
  }
}

template <class V, int SLOTS, int GATES, int OFFSET, int BLOCKS, int ROWS>
static void backprop_tiles(const float *grads, int64_t stride, int64_t width, const float *weights, float *const *targets,
                           int64_t column, int64_t columns, bool add, int64_t n) {
  if (n == ROWS)
    backprop_tile<V, SLOTS, GATES, OFFSET, BLOCKS, ROWS>(grads, stride, width, weights, targets, column, columns, add);
  else if constexpr (ROWS > 1)
    backprop_tiles<V, SLOTS, GATES, OFFSET, BLOCKS, ROWS - 1>(grads, stride, width, weights, targets, column, columns, add, n);
}

// target (COLUMNS, VECTORS vectors), contiguous, += columns' (COLUMNS, n) times grads (n, VECTORS vectors); the sums are in
// registers. The strides of columns and grads are from step to step.
template <class V, int VECTORS, int COLUMNS>
static inline void weight_gradient_tile(const float *grads, int64_t stride, const float *columns, int64_t column_stride,
                                        int64_t n, float *target) {
  V sums[COLUMNS][VECTORS];
#pragma GCC unroll 16
  for (int c = 0; c < COLUMNS; c++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) sums[c][v] = load<V>(target + (c * VECTORS + v) * lanes<V>);
  for (int64_t k = 0; k < n; k++, grads += stride, columns += column_stride) {
    V values[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) values[v] = load<V>(grads + lanes<V> * v);
#pragma GCC unroll 16
    for (int c = 0; c < COLUMNS; c++) {
      const V column = broadcast<V>(columns[c]);
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; v++) sums[c][v] += column * values[v];
    }
  }
#pragma GCC unroll 16
  for (int c = 0; c < COLUMNS; c++)
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; v++) store(target + (c * VECTORS + v) * lanes<V>, sums[c][v]);
}

template <class V, int VECTORS, int COLUMNS>
static void weight_gradient_tiles(const float *grads, int64_t stride, const float *columns, int64_t column_stride, int64_t n,
                                  float *target, int64_t n_columns) {
  if (n_columns == COLUMNS)
    weight_gradient_tile<V, VECTORS, COLUMNS>(grads, stride, columns, column_stride, n, target);
  else if constexpr (COLUMNS > 1)
    weight_gradient_tiles<V, VECTORS, COLUMNS - 1>(grads, stride, columns, column_stride, n, target, n_columns);
}

// The number of blocks of units, from `unit` on, whose sums are interleaved.
template <class Cell> static int blocks_interleaved(int64_t unit, int64_t width) {
  return unit + max_blocks<Cell> * lanes<wide> <= width ? max_blocks<Cell> : 1;
}

// A block of steps of one partition: the gradients of their gates, and what the weights were multiplied by, which is the inputs
// and a one (for the bias), then the previous state and a one.
template <class Cell> class GradientBlock {
  static const int slots = Cell::slots, gates = Cell::gates, offset = Cell::recurrent_offset;

 public:
  int64_t n = 0;

  GradientBlock(const BackwardPass &pass, const Transposed &transposed, float *sums)
      : pass_(pass), call_(pass.call), transposed_(transposed), width_(pass.width),
        n_inputs_(MultipliedColumns(call_.layer, call_.inputs).n + 1), n_states_(pass.units + 1), capacity_(capacity(width_)),
        // One vector of padding: with a power of two as stride, the steps would alias to the same cache sets.
        stride_((slots * width_ + lanes<wide> - 1) / lanes<wide> * lanes<wide> + lanes<wide>),
        // Padded, because `append` writes the states in whole vectors.
        column_stride_((n_inputs_ + n_states_ + 7) / 8 * 8 + 8), sums_input_(sums),
        sums_recurrent_(sums + width_ * gates * n_inputs_), grads_(capacity_ * stride_), columns_(capacity_ * column_stride_),
        positions_(capacity_), targets_(capacity_) {}

  static int64_t sums_size(const Backward &call) {
    return round_up(call.layer.units) * gates * (MultipliedColumns(call.layer, call.inputs).n + 1 + call.layer.units + 1);
  }

  // Flushes the block if `wanted` more steps do not fit. Returns how many of them fit now, at least one.
  int64_t reserve(int64_t wanted) {
    if (n + wanted > capacity_) flush();
    return wanted < capacity_ ? wanted : capacity_;
  }

  // Appends a step; `previous` is the position of the previous state, or -1. Returns the memory for the gradients of its gates,
  // [block of units][slot][unit], which the caller fills.
  float *append(int64_t position, int64_t row, int64_t previous) {
    float *columns = columns_.data() + n * column_stride_;
    const int64_t n_multiplied = n_inputs_ - 1;
    const float *from = step_inputs(call_.layer, call_.inputs, position, row, columns);
    if (from != columns) {
      int64_t k = 0;  // There are often only a few, for which memcpy is slow.
      for (; k + 8 <= n_multiplied; k += 8) store(columns + k, load(from + k));
      for (; k < n_multiplied; k++) columns[k] = from[k];
    }
    columns[n_multiplied] = 1.0f;
    columns += n_inputs_;
    has_states_ = has_states_ || previous >= 0;
    from = pass_.outputs + previous * pass_.stride;
    for (int64_t unit = 0; unit < width_; unit += 8) store(columns + unit, previous < 0 ? broadcast(0.0f) : load(from + unit));
    columns[n_states_ - 1] = 1.0f;
    positions_[n] = position;
    return grads_.data() + n++ * stride_;
  }

  // Adds to the gradients of `n_rows` previous states. What is added is the gradients of the gates, from index `begin` of the
  // block on, times the recurrent weights.
  void add_state_gradients(int64_t begin, int64_t n_rows, float *const *targets) const {
    multiply<offset>(transposed_.recurrent, grads_.data() + begin * stride_, n_rows, targets, width_, true);
  }

  // Adds the products of the block to the sums for the weights, writes the gradients of the inputs, and empties the block.
  void flush() {
    add_products(0, columns_.data(), n_inputs_, sums_input_);
    if (has_states_ || call_.gradients[pass_.index].bias_recurrent)
      add_products(offset, columns_.data() + n_inputs_, n_states_, sums_recurrent_);
    if (call_.grad_inputs) {
      const int64_t n_grad = n_grad_inputs(call_);
      for (int64_t i = 0; i < n; i++) targets_[i] = call_.grad_inputs + positions_[i] * n_grad;
      multiply<0>(transposed_.inputs, grads_.data(), n, targets_.data(), n_grad, pass_.index > 0);
    }
    for (int64_t i = 0; i < n && is_one_hot(call_); i++)
      memcpy(pass_.gates + positions_[i] * slots * width_, grads_.data() + i * stride_, slots * width_ * sizeof(float));
    n = 0;
    has_states_ = false;
  }

 private:
  const BackwardPass &pass_;
  const Backward &call_;
  const Transposed &transposed_;
  const int64_t width_, n_inputs_, n_states_, capacity_, stride_, column_stride_;
  float *const sums_input_, *const sums_recurrent_;
  bool has_states_ = false;
  Buffer<float> grads_, columns_;
  Buffer<int64_t> positions_;
  Buffer<float *> targets_;

  // Steps of a block: 65,536 gradients (256 kB), which fit in the second-level cache. At least 48 steps, because each flush
  // reads and writes all sums for the weights; at most 192, where that cost is negligible.
  static int64_t capacity(int64_t width) {
    const int64_t n = 65536 / (slots * width);
    return n < 48 ? 48 : n > 192 ? 192 : n;
  }

  void add_products(int slot, const float *columns, int64_t n_columns, float *sums) const {
    for (int64_t unit = 0; unit < width_;) {
      const float *grads = grads_.data() + unit * slots;
      float *target = sums + unit * n_columns * gates;
      const int64_t size = Block(unit, width_).size, blocks = blocks_interleaved<Cell>(unit, width_);
      grads += slot * size;
      if (size < lanes<wide>)
        add_tiles<v8, gates>(grads, columns, n_columns, target);
      else if (blocks == 1)
        add_tiles<wide, gates>(grads, columns, n_columns, target);
      else
        add_tiles<wide, 2>(grads, columns, n_columns, target);
      unit += size * blocks;
    }
  }

  template <class V, int VECTORS>
  void add_tiles(const float *grads, const float *columns, int64_t n_columns, float *sums) const {
    const int max_rows = Tile<VECTORS>::rows;
    const EvenTiles tiles(n_columns, max_rows);
    for (int64_t tile = 0; tile < tiles.count; tile++) {
      const int64_t first = tiles.first(tile);
      weight_gradient_tiles<V, VECTORS, max_rows>(grads, stride_, columns + first, column_stride_, n,
                                                  sums + first * VECTORS * lanes<V>, tiles.first(tile + 1) - first);
    }
  }

  template <int OFFSET>
  void multiply(const Buffer<float> &weights, const float *grads, int64_t n_rows, float *const *targets, int64_t n_columns,
                bool add) const {
    for (int64_t column = 0; column < n_columns; column += panel_width(n_columns - column)) {
      const int64_t size = panel_width(n_columns - column);
      const float *from = weights.data() + column * gates * width_;
      if (size == 2 * lanes<wide>)
        multiply_panel<wide, OFFSET, 2>(from, grads, n_rows, targets, column, n_columns - column, add);
      else if (size == lanes<wide>)
        multiply_panel<wide, OFFSET, 1>(from, grads, n_rows, targets, column, n_columns - column, add);
      else
        multiply_panel<v8, OFFSET, 1>(from, grads, n_rows, targets, column, n_columns - column, add);
    }
  }

  template <class V, int OFFSET, int BLOCKS>
  void multiply_panel(const float *weights, const float *grads, int64_t n_rows, float *const *targets, int64_t column,
                      int64_t columns, bool add) const {
    const int max_rows = Tile<BLOCKS>::rows;
    const EvenTiles tiles(n_rows, max_rows);
    for (int64_t tile = 0; tile < tiles.count; tile++) {
      const int64_t first = tiles.first(tile), rows = tiles.first(tile + 1) - first;
      backprop_tiles<V, slots, gates, OFFSET, BLOCKS, max_rows>(grads + first * stride_, stride_, width_, weights,
                                                                targets + first, column, columns, add, rows);
    }
  }
};

// Adds the sums of all partitions in their order, and writes them in torch's layout, for the block of units from `unit` on.
template <class Cell>
static void reduce_partitions(const Backward &call, int64_t direction, const float *sums, int64_t size, int64_t n_partitions,
                              int64_t unit) {
  const int gates = Cell::gates;
  const int64_t units = call.layer.units, width = round_up(units);
  const MultipliedColumns multiplied(call.layer, call.inputs);
  const int64_t n_inputs = multiplied.n + 1, n_states = units + 1;
  const Gradients &gradients = call.gradients[direction];
  const Block block(unit, width);
  // The sums of a pair of blocks are interleaved.
  const int64_t pair_size = max_blocks<Cell> * lanes<wide>, first = unit / pair_size * pair_size;
  const int64_t vectors = gates * blocks_interleaved<Cell>(first, width);
  const int64_t n_lanes = units - unit < block.size ? units - unit : block.size;
  for (int recurrent = 0; recurrent < 2; recurrent++) {
    const int64_t n = recurrent ? n_states : n_inputs;
    const float *from = sums + (recurrent ? width * gates * n_inputs : 0);
    from += vectors > gates ? first * n * gates + (unit - first) : unit * n * gates;
    float *weight = recurrent ? gradients.weight_recurrent : gradients.weight_input + multiplied.first;
    const int64_t stride = recurrent ? units : call.layer.n_looked_up + call.layer.n_values;
    float *bias = recurrent ? gradients.bias_recurrent : gradients.bias;
    for (int gate = 0; gate < gates; gate++) {
      const int64_t row = torch_gate<Cell>(gate, recurrent) * units + unit;
      for (int64_t column = 0; column < n; column++) {
        float totals[lanes<wide>] = {0};
        for (int64_t partition = 0; partition < n_partitions; partition++)
          for (int64_t k = 0; k < n_lanes; k++)
            totals[k] += from[partition * size + (column * vectors + gate) * block.size + k];
        if (column < n - 1)
          for (int64_t k = 0; k < n_lanes; k++) weight[(row + k) * stride + column] = totals[k];
        else if (bias)
          memcpy(bias + row, totals, n_lanes * sizeof(float));
      }
    }
  }
}

// The gradient of the input weights of one-hot ids: for each id the sum over its steps of the gates' gradients, which the
// backward pass has written to `gates`. A partition is a range of ids. Each sum runs over the steps in order.
template <class Cell> static void one_hot_weight_gradient(const BackwardPass &pass, const Gradients &gradients) {
  const Backward &call = pass.call;
  const int64_t n_ids = call.layer.n_looked_up, n = n_steps(call.batch);
  const Buffer<int64_t> starts(n_ids + 2), steps(n);  // the steps of each id, grouped by id
  // Counts are stored at id + 2 and positions at id + 1, so that after filling, starts[id] is where the steps of `id` start.
  for (int64_t step = 0; step < n; step++) starts[call.inputs.ids[step] + 2]++;
  for (int64_t id = 0; id < n_ids; id++) starts[id + 2] += starts[id + 1];
  for (int64_t step = 0; step < n; step++) steps[starts[call.inputs.ids[step] + 1]++] = step;

  // Some ids have many more steps than others: several partitions per thread balance the load.
  const int64_t n_partitions = call.n_threads > 1 ? 4 * call.n_threads : 1;
  const int slots = Cell::slots, gates = Cell::gates, group = 16;  // 16 ids fill a cache line of the result
  const int64_t units = pass.units, width = pass.width, size = slots * width, stride = n_ids + call.layer.n_values;
  const int64_t n_groups = (n_ids + group - 1) / group;
  parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
    const Buffer<float> sums(group * size);
    for (int64_t first = n_groups * partition / n_partitions * group; first < n_groups * (partition + 1) / n_partitions * group;
         first += group) {
      const int64_t n_of_group = n_ids - first < group ? n_ids - first : group;
      memset(sums.data(), 0, n_of_group * size * sizeof(float));
      for (int64_t i = 0; i < n_of_group; i++)
        for (int64_t j = starts[first + i]; j < starts[first + i + 1]; j++) {
          const float *grads = pass.gates + steps[j] * size;
          for (int64_t k = 0; k < size; k += 8) store(&sums[i * size + k], load(&sums[i * size + k]) + load(grads + k));
        }
      for (int gate = 0; gate < gates; gate++)
        for (int64_t unit = 0; unit < units; unit++) {
          float *target = gradients.weight_input + (torch_gate<Cell>(gate, false) * units + unit) * stride + first;
          const float *from = sums.data() + blocked_offset(unit, width, gate, slots);
          for (int64_t i = 0; i < n_of_group; i++) target[i] = from[i * size];
        }
    }
  });
}

}  // namespace ISA
}  // namespace seqclf
