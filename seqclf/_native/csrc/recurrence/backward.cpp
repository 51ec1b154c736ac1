// The backward pass of every cell over ragged batches. Compiled like recurrence/forward.cpp.
//
// A partition is a range of rows, as in forward. It goes through their steps in the reverse order of forward. The gradients of
// the gates are collected in a block that fits in the cache. When the block is full, the gradients of the weights and of the
// inputs are computed from it (recurrence/gradients.h). Each partition has its own sums for the weights. They are added in the
// order of the partitions, so the result is deterministic.
#include "cells/list.h"
#include "parallel.h"
#include "recurrence/gradients.h"
#include "recurrence/partition.h"
#include "recurrence/tiling.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Computes the gradients of the gates from the gradient of the hidden state, for a block of units of one row at one step.
template <class V, class Cell, class Activation>
static inline void backward_units(const BackwardPass &pass, int64_t position, int64_t previous, int64_t unit,
                                  float *grad_hidden, float *grad_memory, float *grads) {
  const int64_t units = pass.units, width = pass.width, size = lanes<V>;
  const V zero = broadcast<V>(0.0f);
  const V from_above = load_first<V>(pass.grad_outputs + position * pass.call.grad_stride + unit, units - unit);
  const V grad = zero_beyond(load<V>(grad_hidden) + from_above, unit, units);
  Saved<V, Cell::slots> at;
  if (Cell::saves != NOTHING)
    for (int slot = 0; slot < Cell::slots; slot++)
      at.slots[slot] = load<V>(pass.gates + (position * width + unit) * Cell::slots + slot * size);
  else
    at.hidden = load<V>(pass.outputs + position * pass.stride + unit);
  if (Cell::reads_previous) at.previous = previous < 0 ? zero : load<V>(pass.outputs + previous * pass.stride + unit);
  V memory = zero, to_slots[Cell::slots];
  if (Cell::has_memory) {
    memory = load<V>(grad_memory);
    at.memory = load<V>(pass.memory + position * width + unit);
    at.memory_before = previous < 0 ? zero : load<V>(pass.memory + previous * width + unit);
  }
  store(grad_hidden, Cell::template backward<Activation>(grad, at, memory, to_slots));
  for (int slot = 0; slot < Cell::slots; slot++) store(grads + slot * size, to_slots[slot]);
  if (Cell::has_memory) store(grad_memory, memory);
}

template <class Cell, class Activation>
static void backward_partition(const BackwardPass &pass, const Transposed &transposed, int64_t partition, int64_t n_partitions,
                               float *sums) {
  const Batch &batch = pass.call.batch;
  const int64_t width = pass.width;
  const RowRange rows(batch, partition, n_partitions);
  const Buffer<float> hidden(rows.count() * width), memory(Cell::has_memory ? rows.count() * width : 0);
  Buffer<float *> grad_hidden(rows.count());
  for (int64_t j = 0; j < rows.count(); j++) grad_hidden[j] = hidden.data() + j * width;
  GradientBlock<Cell> block(pass, transposed, sums);

  for (int64_t step = batch.max_length - 1; step >= 0; step--) {
    const RunningRows at(batch, rows, pass.direction.reverse, step);
    for (int64_t first = 0; first < at.n;) {
      const int64_t last = first + block.reserve(at.n - first), begin = block.n;
      for (int64_t j = first; j < last; j++) {
        const int64_t row = rows.first + j;
        const int64_t position = batch.time_offsets[at.time] + row;
        const int64_t previous = j < at.n_started ? batch.time_offsets[at.previous_time] + row : -1;
        float *grads = block.append(position, row, previous);
        float *grad_memory = memory.data() + (Cell::has_memory ? j * width : 0);
        int64_t unit = 0;
        for (; unit + lanes<wide> <= width; unit += lanes<wide>)
          backward_units<wide, Cell, Activation>(pass, position, previous, unit, grad_hidden[j] + unit, grad_memory + unit,
                                                 grads + unit * Cell::slots);
        if (unit < width)
          backward_units<v8, Cell, Activation>(pass, position, previous, unit, grad_hidden[j] + unit, grad_memory + unit,
                                               grads + unit * Cell::slots);
      }
      if (at.n_started > first)
        block.add_state_gradients(begin, (at.n_started < last ? at.n_started : last) - first, &grad_hidden[first]);
      first = last;
    }
  }
  block.flush();
}

// Above this number of float additions (some tenths of a millisecond), several threads are faster than one.
static const int64_t MIN_PARALLEL_ADDITIONS = 1000000;

template <class Cell> static void backward_cell(const Backward &call) {
  const Layer &layer = call.layer;
  const MultipliedColumns multiplied(layer, call.inputs);
  const int64_t units = layer.units, stride = layer.n_looked_up + layer.n_values;
  Transposed transposed[2];
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &weights = layer.directions[i];
    pack_transposed<Cell>(transposed[i].recurrent, units, weights.weight_recurrent, units, units, true);
    if (call.grad_inputs)
      pack_transposed<Cell>(transposed[i].inputs, units, weights.weight_input + multiplied.first, stride, n_grad_inputs(call),
                            false);
  }
  const int64_t n_partitions = partition_count(call.n_threads, call.batch, units);
  const int64_t size = GradientBlock<Cell>::sums_size(call);
  const Buffer<float> sums(layer.n_directions * n_partitions * size);
  const auto sums_of = [&](int64_t direction) { return sums.data() + direction * n_partitions * size; };
  // A partition does both directions: the second one adds its gradients of the inputs to those of the first.
  for_activation(layer.activation, [&](auto activation) {
    parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
      for (int64_t i = 0; i < layer.n_directions; i++)
        backward_partition<Cell, decltype(activation)>(BackwardPass(call, i, Cell::slots), transposed[i], partition,
                                                       n_partitions, sums_of(i) + partition * size);
    });
  });
  const int64_t n_blocks = (round_up(units) + lanes<wide> - 1) / lanes<wide>;
  const int64_t n_threads = n_blocks * size * n_partitions > MIN_PARALLEL_ADDITIONS ? call.n_threads : 1;
  parallel_for(n_threads, n_blocks * layer.n_directions, [&](int64_t partition) {
    const int64_t direction = partition / n_blocks, block = partition % n_blocks;
    reduce_partitions<Cell>(call, direction, sums_of(direction), size, n_partitions, block * lanes<wide>);
  });
  for (int64_t i = 0; i < layer.n_directions && is_one_hot(call); i++)
    one_hot_weight_gradient<Cell>(BackwardPass(call, i, Cell::slots), call.gradients[i]);
}

void backward(const Backward &call) {
  for_cell(call.layer.cell, [&](auto cell) { backward_cell<decltype(cell)>(call); });
}

}  // namespace ISA
}  // namespace seqclf
