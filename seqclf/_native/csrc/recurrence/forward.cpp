// The forward pass of every cell over ragged batches. Compiled once per instruction set, in the namespace ISA.
//
// A partition is a range of rows (sequences) with all their steps, so threads never wait for each other. Every step is computed
// tile by tile. A tile is a few rows and a block of units (as many as fit in a vector). The sums of its gates are accumulated
// in registers over the inputs and the previous hidden state, and turned into the new state before anything is written. The
// sums of a row run over the inputs and then over the units, always in the same order, so they do not depend on other rows.
#include "cells/list.h"
#include "parallel.h"
#include "recurrence/packing.h"
#include "recurrence/partition.h"
#include "recurrence/step_inputs.h"
#include "recurrence/tiling.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Context of the forward pass of one direction.
struct ForwardPass {
  const Forward &call;
  const Packed &packed;
  const Direction &direction;
  const int64_t units, width, n_multiplied;
  float *const outputs, *const gates, *const memory;  // this direction's; gates and memory may be null
  const int64_t stride;                               // from step to step in `outputs`

  ForwardPass(const Forward &forward, const Packed &weights, int64_t index, int64_t slots)
      : call(forward), packed(weights), direction(call.layer.directions[index]), units(call.layer.units),
        width(round_up(units)), n_multiplied(MultipliedColumns(call.layer, call.inputs).n),
        outputs(call.outputs + index * width),
        gates(call.gates ? call.gates + index * n_steps(call.batch) * width * slots : nullptr),
        memory(call.memory ? call.memory + index * n_steps(call.batch) * width : nullptr),
        stride(call.layer.n_directions * width) {}
};

// Some rows of a partition at one step.
struct StepRows {
  const int64_t *positions;
  const float *const *inputs;  // of each row, `n_multiplied` values
  int64_t n_multiplied;
  const float *const *precomputed;  // of each row, sums of the gates that include the bias; unused unless `has_precomputed`
  bool has_precomputed;
  const float *const *previous;  // hidden state of each row
  float *const *memories;        // of each row, if the cell has memory; updated

  StepRows from(int64_t row) const {
    return {positions + row, inputs + row, n_multiplied, precomputed + row, has_precomputed, previous + row, memories + row};
  }
};

// Turns the sums of a tile into the new states and writes them; in training it also saves what backward reads.
template <class V, class Cell, class Activation, int BLOCKS, int ROWS, int SLOTS>
static inline __attribute__((always_inline)) void finish_tile(const ForwardPass &pass, const StepRows &rows, int64_t unit,
                                                              V (&sums)[ROWS][SLOTS]) {
  const int size = lanes<V>, slots = Cell::slots;
  const int64_t *positions = rows.positions;
  const int64_t width = pass.width;
  State<V> states[ROWS][BLOCKS];
  const auto save = [&](int i, int b) {
    float *saved = pass.gates + (positions[i] * width + unit + size * b) * slots;
#pragma GCC unroll 4
    for (int slot = 0; slot < slots; slot++) store(saved + slot * size, sums[i][slots * b + slot]);
    if (Cell::has_memory) store(pass.memory + positions[i] * width + unit + size * b, states[i][b].memory);
  };
  // Two passes, so that the second transcendental function of a row overlaps with those of the other rows.
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++) {
      State<V> &state = states[i][b];
      if (Cell::has_memory) state.memory = load<V>(rows.memories[i] + unit + size * b);
      Cell::template activate<Activation>(&sums[i][slots * b], state);
      if (Cell::has_memory) store(rows.memories[i] + unit + size * b, state.memory);
      if (Cell::saves == AFTER_ACTIVATE && pass.gates) save(i, b);
    }
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++) {
      State<V> &state = states[i][b];
      if (Cell::reads_previous) state.previous = load<V>(rows.previous[i] + unit + size * b);
      const V output = Cell::template output<Activation>(&sums[i][slots * b], state);
      store(pass.outputs + positions[i] * pass.stride + unit + size * b, output);
      if (Cell::saves == AFTER_OUTPUT && pass.gates) save(i, b);
    }
}

// A tile: ROWS rows, and BLOCKS vectors of units from `unit` on. All its sums are in registers: see tiling.h for the sizes.
template <class V, class Cell, class Activation, int BLOCKS, int ROWS>
static inline void forward_tile(const ForwardPass &pass, const StepRows &rows, bool has_previous, int64_t unit) {
  const int slots = BLOCKS * Cell::slots, gates = Cell::gates, size = lanes<V>;
  const Packed &packed = pass.packed;
  const int64_t width = pass.width, slot_stride = BLOCKS == 1 ? width : size;
  const float *bias = packed.bias.data() + unit;

  V sums[ROWS][slots];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (int slot = 0; slot < slots; slot++) sums[i][slot] = load<V>(bias + slot * slot_stride);
  if (rows.has_precomputed) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < BLOCKS * gates; gate++)
        sums[i][gate] = load<V>(rows.precomputed[i] + unit * gates + gate * size);
  }
  if (rows.n_multiplied)
    accumulate<V, ROWS, slots, BLOCKS, gates, 0>(sums, rows.inputs, packed.inputs.data() + unit * rows.n_multiplied * gates,
                                                 rows.n_multiplied);
  if (has_previous)
    accumulate<V, ROWS, slots, BLOCKS, gates, Cell::recurrent_offset>(sums, rows.previous,
                                                                      packed.recurrent.data() + unit * width * gates, width);
  if (unit + size * BLOCKS > pass.units)
    for (int i = 0; i < ROWS; i++)
      for (int slot = 0; slot < slots; slot++)
        sums[i][slot] = zero_beyond(sums[i][slot], BLOCKS == 1 ? unit : unit + size * slot, pass.units);
  finish_tile<V, Cell, Activation, BLOCKS, ROWS>(pass, rows, unit, sums);
}

template <class V, class Cell, class Activation, int BLOCKS, int ROWS>
static void forward_tiles(const ForwardPass &pass, const StepRows &rows, bool has_previous, int64_t unit, int64_t n) {
  if (n == ROWS)
    forward_tile<V, Cell, Activation, BLOCKS, ROWS>(pass, rows, has_previous, unit);
  else if constexpr (ROWS > 1)
    forward_tiles<V, Cell, Activation, BLOCKS, ROWS - 1>(pass, rows, has_previous, unit, n);
}

// BLOCKS vectors of units from `unit` on, for the first `n` rows of a partition.
template <class V, class Cell, class Activation, int BLOCKS>
static void forward_blocks(const ForwardPass &pass, const StepRows &rows, int64_t n, int64_t n_started, int64_t unit) {
  const int max_rows = Tile<BLOCKS * Cell::slots>::rows;
  const EvenTiles tiles(n, max_rows);
  for (int64_t tile = 0; tile < tiles.count; tile++) {
    const int64_t j = tiles.first(tile);
    // The first row of a tile is the longest: if it has no previous state, no other row of the tile has one.
    const int64_t n_rows = tiles.first(tile + 1) - j;
    forward_tiles<V, Cell, Activation, BLOCKS, max_rows>(pass, rows.from(j), j < n_started, unit, n_rows);
  }
}

// If there are few rows and the weights are larger than the second-level cache, every step reads all weights from a slower
// cache. The product with the inputs does not depend on the state, so it is computed for several steps in one pass over the
// input weights. The recurrent weights then stay in the faster cache.
template <class Cell> class InputProjections {
  static const int64_t min_weight_bytes = 1 << 20;  // about the size of a second-level cache
  static const int64_t max_rows = 128;  // of all projected steps: with more, the cost of reading the weights is negligible

 public:
  InputProjections(const ForwardPass &pass, const RowRange &rows)
      : pass_(pass), rows_(rows),
        enabled_(!pass.packed.looked_up && 2 * rows.count() <= max_rows &&
                 (pass.n_multiplied + pass.width) * row_size() * (int64_t)sizeof(float) > min_weight_bytes),
        inputs_(enabled_ ? max_rows : 0), buffer_(enabled_ && pass.call.inputs.embedding ? max_rows * pass.n_multiplied : 0),
        projected_(enabled_ ? max_rows * row_size() : 0) {}

  bool enabled() const { return enabled_; }

  // The sums of the gates over the inputs, for the rows that run at this step. Call it for each step in order.
  const float *next_step(int64_t step) {
    const Batch &batch = pass_.call.batch;
    if (step == end_) {
      int64_t n = 0;
      for (; end_ < batch.max_length && n + running(end_) <= max_rows; end_++)
        for (int64_t j = 0; j < running(end_); j++, n++)
          inputs_[n] =
              step_inputs(pass_.call.layer, pass_.call.inputs, batch.time_offsets[time(end_)] + rows_.first + j,
                          rows_.first + j, buffer_.data() + (pass_.call.inputs.embedding ? n * pass_.n_multiplied : 0));
      project_rows<Cell>(pass_.packed, pass_.width, inputs_.data(), pass_.n_multiplied, projected_.data(), n);
      next_ = projected_.data();
    }
    const float *here = next_;
    next_ += running(step) * row_size();
    return here;
  }

  int64_t row_size() const { return pass_.width * Cell::gates; }

 private:
  const ForwardPass &pass_;
  const RowRange &rows_;
  const bool enabled_;
  Buffer<const float *> inputs_;
  const Buffer<float> buffer_, projected_;
  int64_t end_ = 0;  // one after the last projected step
  const float *next_ = nullptr;

  int64_t time(int64_t step) const { return pass_.direction.reverse ? pass_.call.batch.max_length - 1 - step : step; }
  int64_t running(int64_t step) const { return rows_.running(pass_.call.batch.batch_sizes[time(step)]); }
};

template <class Cell, class Activation> static void forward_partition(const ForwardPass &pass, int64_t partition,
                                                                      int64_t n_partitions) {
  const Forward &call = pass.call;
  const Batch &batch = call.batch;
  const RowRange rows(batch, partition, n_partitions);
  InputProjections<Cell> projections(pass, rows);
  const int64_t width = pass.width, n_multiplied = projections.enabled() ? 0 : pass.n_multiplied;
  const int64_t buffer_size = call.inputs.embedding ? n_multiplied : 0;
  const Buffer<float> zeros(width), memory(Cell::has_memory ? rows.count() * width : 0), buffers(rows.count() * buffer_size);
  Buffer<int64_t> positions(rows.count());
  Buffer<const float *> inputs(rows.count()), precomputed(rows.count()), previous(rows.count());
  Buffer<float *> memories(rows.count());
  for (int64_t j = 0; j < rows.count() && Cell::has_memory; j++) memories[j] = memory.data() + j * width;
  const float *const looked_up = pass.packed.looked_up;
  const StepRows step_rows{
      positions.data(), inputs.data(),  n_multiplied, precomputed.data(), looked_up || projections.enabled(),
      previous.data(),  memories.data()};

  for (int64_t step = 0; step < batch.max_length; step++) {
    const RunningRows at(batch, rows, pass.direction.reverse, step);
    const float *projected = projections.enabled() ? projections.next_step(step) : nullptr;
    for (int64_t j = 0; j < at.n; j++) {
      const int64_t row = rows.first + j, position = batch.time_offsets[at.time] + row;
      positions[j] = position;
      if (looked_up) precomputed[j] = looked_up + call.inputs.ids[position] * projections.row_size();
      if (projected) precomputed[j] = projected + j * projections.row_size();
      if (n_multiplied) inputs[j] = step_inputs(call.layer, call.inputs, position, row, buffers.data() + j * buffer_size);
      previous[j] = j < at.n_started ? pass.outputs + (batch.time_offsets[at.previous_time] + row) * pass.stride : zeros.data();
    }
    int64_t unit = 0;
    const int blocks = max_blocks<Cell>;
    for (; unit + blocks * lanes<wide> <= width; unit += blocks * lanes<wide>)
      forward_blocks<wide, Cell, Activation, blocks>(pass, step_rows, at.n, at.n_started, unit);
    for (; unit + lanes<wide> <= width; unit += lanes<wide>)
      forward_blocks<wide, Cell, Activation, 1>(pass, step_rows, at.n, at.n_started, unit);
    if (unit < width) forward_blocks<v8, Cell, Activation, 1>(pass, step_rows, at.n, at.n_started, unit);
  }
}

template <class Cell> static void forward_cell(const Forward &call) {
  const Layer &layer = call.layer;
  const int64_t units = layer.units, stride = layer.n_looked_up + layer.n_values;
  const MultipliedColumns multiplied(layer, call.inputs);
  Packed packed[2];
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &weights = layer.directions[i];
    pack<Cell>(packed[i].inputs, units, weights.weight_input + multiplied.first, stride, multiplied.n, false);
    pack<Cell>(packed[i].recurrent, units, weights.weight_recurrent, units, units, true);
    pack_bias<Cell>(packed[i].bias, units, weights);
    if (!layer.n_looked_up || call.inputs.embedding) continue;
    if (!weights.projected) pack_one_hot<Cell>(packed[i].one_hot, layer, weights, packed[i].bias);
    packed[i].looked_up = weights.projected ? weights.projected : packed[i].one_hot.data();
  }
  const int64_t n_partitions = partition_count(call.n_threads, call.batch, units);
  for_activation(layer.activation, [&](auto activation) {
    parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
      for (int64_t i = 0; i < layer.n_directions; i++)
        forward_partition<Cell, decltype(activation)>(ForwardPass(call, packed[i], i, Cell::slots), partition, n_partitions);
    });
  });
}

void forward(const Forward &call) {
  for_cell(call.layer.cell, [&](auto cell) { forward_cell<decltype(cell)>(call); });
}

template <class Cell> static void project_cell(const Projection &call) {
  const Layer &layer = call.layer;
  Packed packed;
  const Direction &weights = layer.directions[0];
  const int64_t stride = layer.n_looked_up + layer.n_values;
  pack<Cell>(packed.inputs, layer.units, weights.weight_input, stride, layer.n_looked_up, false);
  pack_bias<Cell>(packed.bias, layer.units, weights);
  const int64_t width = round_up(layer.units), dim = layer.n_looked_up;
  const int64_t n_partitions = 4 * call.n_threads;  // for load balance when other work interrupts a thread
  parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
    const int64_t first = call.n_ids * partition / n_partitions, n = call.n_ids * (partition + 1) / n_partitions - first;
    Buffer<const float *> vectors(n);
    for (int64_t i = 0; i < n; i++) vectors[i] = call.embedding + (first + i) * dim;
    project_rows<Cell>(packed, width, vectors.data(), dim, call.projected + first * width * Cell::gates, n);
  });
}

void project(const Projection &call) {
  for_cell(call.layer.cell, [&](auto cell) { project_cell<decltype(cell)>(call); });
}

}  // namespace ISA
}  // namespace seqclf
