// From the gradients of the gates to those of weights and inputs: matrix products over steps, a block of steps at a time.
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

// Ids without a table stand for one-hot vectors: what is projected has no gradients.
static inline bool is_one_hot(const Backward &call) { return call.layer.n_looked_up && !call.inputs.table; }

// How many numbers of a step's inputs get a gradient, from the first one that is read on: the id's vector or the numbers.
static inline int64_t n_grad_inputs(const Backward &call) {
  return call.inputs.table ? call.layer.n_looked_up : call.layer.n_numbers;
}

// The steps of a layer in one direction, on the way back.
struct Return {
  const Backward &call;
  const int64_t index;
  const Direction &direction;
  const int64_t units, width;
  const float *const outputs, *const memory;  // this direction's
  float *const gates;
  const float *const grad_outputs;
  const int64_t stride;  // of `outputs` from step to step

  Return(const Backward &backward, int64_t i, int64_t slots)
      : call(backward), index(i), direction(call.layer.directions[index]), units(call.layer.units), width(round_up(units)),
        outputs(call.outputs + index * width),
        memory(call.memory ? call.memory + index * n_steps(call.batch) * width : nullptr),
        gates(call.gates ? call.gates + index * n_steps(call.batch) * width * slots : nullptr),
        grad_outputs(call.grad_outputs + index * units), stride(call.layer.n_directions * width) {}
};

// How many columns a tile makes together where that many are left: two vectors if at most seven lanes stay empty, since two
// share what is read of the gradients; else one, or eight if no more are left.
static inline int64_t panel(int64_t left) {
  const int64_t one = lanes<wide>;
  return left > 2 * one - 8 ? 2 * one : left > 8 ? one : 8;
}

// Weights for the way back, from rows `stride` long: [panel of columns][gate of a unit, in the order of a row of gradients]
// [column of the panel]. Zeros beyond the last unit and the last column.
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
      const int64_t row = place(unit, width, gate, gates);
      for (int64_t first = 0; first < n; first += panel(n - first)) {
        const int64_t size = panel(n - first);
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

// targets (ROWS, BLOCKS vectors) = or += grads (ROWS, all gates of `width` units) times weights, from `column` on. Of the SLOTS
// numbers that stand for each unit in a row of grads, GATES from OFFSET on take part. Fewer columns may be left.
template <class V, int SLOTS, int GATES, int OFFSET, int BLOCKS, int ROWS>
static inline void row_tile(const float *grads, int64_t stride, int64_t width, const float *weights, float *const *targets,
                            int64_t column, int64_t columns, bool add) {
  const int size = lanes<V>;
  V sums[ROWS][BLOCKS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++)
      sums[i][b] = add ? load_first<V>(targets[i] + column + size * b, columns - size * b) : broadcast<V>(0.0f);
  for (int64_t unit = 0; unit < width;) {
    // Where all slots take part there is nothing between the blocks.
    const int64_t together = SLOTS == GATES ? width : Block(unit, width).size;
    const float *from = grads + unit * SLOTS + OFFSET * together;
    for (int64_t k = 0; k < GATES * together; k++, weights += BLOCKS * size) {
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
    unit += together;
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
static void row_tiles(const float *grads, int64_t stride, int64_t width, const float *weights, float *const *targets,
                      int64_t column, int64_t columns, bool add, int64_t n) {
  if (n == ROWS)
    row_tile<V, SLOTS, GATES, OFFSET, BLOCKS, ROWS>(grads, stride, width, weights, targets, column, columns, add);
  else if constexpr (ROWS > 1)
    row_tiles<V, SLOTS, GATES, OFFSET, BLOCKS, ROWS - 1>(grads, stride, width, weights, targets, column, columns, add, n);
}

// target (COLUMNS, VECTORS vectors) += columns' (COLUMNS, n) times grads (n, VECTORS vectors)
template <class V, int VECTORS, int COLUMNS>
static inline void weight_tile(const float *grads, int64_t stride, const float *columns, int64_t column_stride, int64_t n,
                               float *target) {
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
static void weight_tiles(const float *grads, int64_t stride, const float *columns, int64_t column_stride, int64_t n,
                         float *target, int64_t n_columns) {
  if (n_columns == COLUMNS)
    weight_tile<V, VECTORS, COLUMNS>(grads, stride, columns, column_stride, n, target);
  else if constexpr (COLUMNS > 1)
    weight_tiles<V, VECTORS, COLUMNS - 1>(grads, stride, columns, column_stride, n, target, n_columns);
}

// How many blocks of units, from `unit` on, have their sums made together.
template <class Cell> static int blocks_together(int64_t unit, int64_t width) {
  return unit + most_blocks<Cell> * lanes<wide> <= width ? most_blocks<Cell> : 1;
}

// A block of steps of one part: the gradients of their gates, and beside them what the weights were multiplied by: what was
// read and a one (for the bias), the previous state and a one.
template <class Cell> class GradientBlock {
  static const int slots = Cell::slots, gates = Cell::gates, offset = Cell::recurrent_offset;

 public:
  int64_t n = 0;

  GradientBlock(const Return &pass, const Transposed &transposed, float *sums)
      : pass_(pass), call_(pass.call), transposed_(transposed), width_(pass.width),
        n_inputs_(Columns(call_.layer, call_.inputs).n + 1), n_states_(pass.units + 1), capacity_(capacity(width_)),
        // An odd number of cache lines, or nearly: rows whose distance is a power of two would fall on the same places.
        stride_((slots * width_ + lanes<wide> - 1) / lanes<wide> * lanes<wide> + lanes<wide>),
        // Room for a whole last vector of states, which `add` writes.
        column_stride_((n_inputs_ + n_states_ + 7) / 8 * 8 + 8), sums_input_(sums),
        sums_recurrent_(sums + width_ * gates * n_inputs_), grads_(capacity_ * stride_), columns_(capacity_ * column_stride_),
        positions_(capacity_), targets_(capacity_) {}

  static int64_t size_of_sums(const Backward &call) {
    return round_up(call.layer.units) * gates * (Columns(call.layer, call.inputs).n + 1 + call.layer.units + 1);
  }

  // How many of the next `wanted` steps there is room for, at least one; empties the block if they don't all fit.
  int64_t room(int64_t wanted) {
    if (n + wanted > capacity_) empty();
    return wanted < capacity_ ? wanted : capacity_;
  }

  // A place for the gradients of one step's gates, [block of units][slot][unit], which the caller fills.
  float *add(int64_t position, int64_t row, int64_t previous) {
    float *columns = columns_.data() + n * column_stride_;
    const int64_t n_read = n_inputs_ - 1;
    const float *from = read_step(call_.layer, call_.inputs, position, row, columns);
    if (from != columns) {
      int64_t k = 0;  // Often few, for which memcpy is slow.
      for (; k + 8 <= n_read; k += 8) store(columns + k, load(from + k));
      for (; k < n_read; k++) columns[k] = from[k];
    }
    columns[n_read] = 1.0f;
    columns += n_inputs_;
    has_states_ = has_states_ || previous >= 0;
    from = pass_.outputs + previous * pass_.stride;
    for (int64_t unit = 0; unit < width_; unit += 8) store(columns + unit, previous < 0 ? broadcast(0.0f) : load(from + unit));
    columns[n_states_ - 1] = 1.0f;
    positions_[n] = position;
    return grads_.data() + n++ * stride_;
  }

  // The previous states' gradients, n_rows of them, += those of the gates of step `begin` of the block and following ones
  // times the recurrent weights.
  void to_states(int64_t begin, int64_t n_rows, float *const *targets) const {
    multiply<offset>(transposed_.recurrent, grads_.data() + begin * stride_, n_rows, targets, width_, true);
  }

  void empty() {
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
  const Return &pass_;
  const Backward &call_;
  const Transposed &transposed_;
  const int64_t width_, n_inputs_, n_states_, capacity_, stride_, column_stride_;
  float *const sums_input_, *const sums_recurrent_;
  bool has_states_ = false;
  Buffer<float> grads_, columns_;
  Buffer<int64_t> positions_;
  Buffer<float *> targets_;

  // How many steps: 256 kB of gradients, which stay in the second-level cache until they are multiplied. At least 48, because
  // the sums for the weights are read and written once for each block, and at most 192, with which that is little already.
  static int64_t capacity(int64_t width) {
    const int64_t n = 65536 / (slots * width);
    return n < 48 ? 48 : n > 192 ? 192 : n;
  }

  void add_products(int slot, const float *columns, int64_t n_columns, float *sums) const {
    for (int64_t unit = 0; unit < width_;) {
      const float *grads = grads_.data() + unit * slots;
      float *target = sums + unit * n_columns * gates;
      const int64_t size = Block(unit, width_).size, blocks = blocks_together<Cell>(unit, width_);
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
    const int most = Tile<VECTORS>::rows;
    const Tiling tiling(n_columns, most);
    for (int64_t tile = 0; tile < tiling.tiles; tile++) {
      const int64_t first = tiling.first(tile);
      weight_tiles<V, VECTORS, most>(grads, stride_, columns + first, column_stride_, n, sums + first * VECTORS * lanes<V>,
                                     tiling.first(tile + 1) - first);
    }
  }

  template <int OFFSET>
  void multiply(const Buffer<float> &weights, const float *grads, int64_t n_rows, float *const *targets, int64_t n_columns,
                bool add) const {
    for (int64_t column = 0; column < n_columns; column += panel(n_columns - column)) {
      const int64_t size = panel(n_columns - column);
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
    const int most = Tile<BLOCKS>::rows;
    const Tiling tiling(n_rows, most);
    for (int64_t tile = 0; tile < tiling.tiles; tile++) {
      const int64_t first = tiling.first(tile), rows = tiling.first(tile + 1) - first;
      row_tiles<V, slots, gates, OFFSET, BLOCKS, most>(grads + first * stride_, stride_, width_, weights, targets + first,
                                                       column, columns, add, rows);
    }
  }
};

// The sums of all parts, in their order, to the place and order of torch's gradients; the block of units from `unit` on.
template <class Cell>
static void add_up(const Backward &call, int64_t direction, const float *sums, int64_t size, int64_t n_parts, int64_t unit) {
  const int gates = Cell::gates;
  const int64_t units = call.layer.units, width = round_up(units);
  const Columns read(call.layer, call.inputs);
  const int64_t n_inputs = read.n + 1, n_states = units + 1;
  const Gradients &gradients = call.gradients[direction];
  const Block block(unit, width);
  // The sums of a pair of blocks lie side by side.
  const int64_t together = most_blocks<Cell> * lanes<wide>, first = unit / together * together;
  const int64_t vectors = gates * blocks_together<Cell>(first, width);
  const int64_t lanes_left = units - unit < block.size ? units - unit : block.size;
  for (int recurrent = 0; recurrent < 2; recurrent++) {
    const int64_t n = recurrent ? n_states : n_inputs;
    const float *from = sums + (recurrent ? width * gates * n_inputs : 0);
    from += vectors > gates ? first * n * gates + (unit - first) : unit * n * gates;
    float *weight = recurrent ? gradients.weight_recurrent : gradients.weight_input + read.first;
    const int64_t stride = recurrent ? units : call.layer.n_looked_up + call.layer.n_numbers;
    float *bias = recurrent ? gradients.bias_recurrent : gradients.bias;
    for (int gate = 0; gate < gates; gate++) {
      const int64_t row = torch_gate<Cell>(gate, recurrent) * units + unit;
      for (int64_t column = 0; column < n; column++) {
        float totals[lanes<wide>] = {0};
        for (int64_t part = 0; part < n_parts; part++)
          for (int64_t k = 0; k < lanes_left; k++) totals[k] += from[part * size + (column * vectors + gate) * block.size + k];
        if (column < n - 1)
          for (int64_t k = 0; k < lanes_left; k++) weight[(row + k) * stride + column] = totals[k];
        else if (bias)
          memcpy(bias + row, totals, lanes_left * sizeof(float));
      }
    }
  }
}

// The gradient of the input weights of one-hot ids: the sum of the gates' gradients of all steps with that id, which
// backward has left in its gates. A part has a range of ids; each sum runs over the steps in their order.
template <class Cell> static void scatter_by_id(const Return &pass, const Gradients &gradients) {
  const Backward &call = pass.call;
  const int64_t n_ids = call.layer.n_looked_up, n = n_steps(call.batch);
  const Buffer<int64_t> starts(n_ids + 2), steps(n);  // the steps of each id, one id after the other
  // Counted two places on and filled one on, so that in the end each start stands at its own place.
  for (int64_t step = 0; step < n; step++) starts[call.inputs.ids[step] + 2]++;
  for (int64_t id = 0; id < n_ids; id++) starts[id + 2] += starts[id + 1];
  for (int64_t step = 0; step < n; step++) steps[starts[call.inputs.ids[step] + 1]++] = step;

  // Some ids have many more steps than others: with several parts for each thread the threads have about as much to do.
  const int64_t n_parts = call.n_threads > 1 ? 4 * call.n_threads : 1;
  const int slots = Cell::slots, gates = Cell::gates, group = 16;  // ids that fill a cache line of the result
  const int64_t units = pass.units, width = pass.width, size = slots * width, stride = n_ids + call.layer.n_numbers;
  const int64_t n_groups = (n_ids + group - 1) / group;
  parallel_for(call.n_threads, n_parts, [&](int64_t part) {
    const Buffer<float> sums(group * size);
    for (int64_t first = n_groups * part / n_parts * group; first < n_groups * (part + 1) / n_parts * group; first += group) {
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
          const float *from = sums.data() + place(unit, width, gate, slots);
          for (int64_t i = 0; i < n_of_group; i++) target[i] = from[i * size];
        }
    }
  });
}

}  // namespace ISA
}  // namespace seqclf
