// Forward through time for every cell over ragged batches. Compiled once for each kind of processor, with ISA the name
// of a namespace for it.
//
// A part of the work is some rows (sequences), all their steps; threads never wait for one another. At every step the units
// are taken as many at a time as a vector holds (a block): the gates of a block, for a few rows, are accumulated in registers
// over the inputs and the previous hidden state, and turned into the new state before anything is written. A row's sums run
// over inputs, then units, in the same order whatever rows are beside it, so its results don't depend on them.
#include "cells/list.h"
#include "parallel.h"
#include "recurrence/packing.h"
#include "recurrence/partition.h"
#include "recurrence/step_inputs.h"
#include "recurrence/tiling.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// The steps of a layer in one direction.
struct Pass {
  const Forward &call;
  const Packed &packed;
  const Direction &direction;
  const int64_t units, width, n_read;
  float *const outputs, *const gates, *const memory;  // this direction's; gates and memory may be null
  const int64_t stride;                               // of `outputs` from step to step

  Pass(const Forward &forward, const Packed &weights, int64_t index, int64_t slots)
      : call(forward), packed(weights), direction(call.layer.directions[index]), units(call.layer.units),
        width(round_up(units)), n_read(Columns(call.layer, call.inputs).n), outputs(call.outputs + index * width),
        gates(call.gates ? call.gates + index * n_steps(call.batch) * width * slots : nullptr),
        memory(call.memory ? call.memory + index * n_steps(call.batch) * width : nullptr),
        stride(call.layer.n_directions * width) {}
};

// A few rows of a part at one step.
struct RowsOfStep {
  const int64_t *positions;
  const float *const *inputs;  // what each reads, `n_read` numbers
  int64_t n_read;
  const float *const *given;  // what is known of its gates before that, with the bias; not read where `is_given` is false
  bool is_given;
  const float *const *previous;  // its state before
  float *const *memories;        // where the cell has one; updated

  RowsOfStep from(int64_t row) const {
    return {positions + row, inputs + row, n_read, given + row, is_given, previous + row, memories + row};
  }
};

// From the sums of each gate to the new states, which are written; in training what the way back reads, too.
template <class V, class Cell, class Activation, int BLOCKS, int ROWS, int SLOTS>
static inline __attribute__((always_inline)) void finish_tile(const Pass &pass, const RowsOfStep &rows, int64_t unit,
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
  // Two passes, so that the second function of a row overlaps with those of the other rows.
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

// The units from `unit` on: BLOCKS of as many as V holds.
template <class V, class Cell, class Activation, int BLOCKS, int ROWS>
static inline void forward_tile(const Pass &pass, const RowsOfStep &rows, bool begun, int64_t unit) {
  const int slots = BLOCKS * Cell::slots, gates = Cell::gates, size = lanes<V>;
  const Packed &packed = pass.packed;
  const int64_t width = pass.width, apart = BLOCKS == 1 ? width : size;
  const float *bias = packed.bias.data() + unit;

  V sums[ROWS][slots];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (int slot = 0; slot < slots; slot++) sums[i][slot] = load<V>(bias + slot * apart);
  if (rows.is_given) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < BLOCKS * gates; gate++) sums[i][gate] = load<V>(rows.given[i] + unit * gates + gate * size);
  }
  if (rows.n_read)
    accumulate<V, ROWS, slots, BLOCKS, gates, 0>(sums, rows.inputs, packed.inputs.data() + unit * rows.n_read * gates,
                                                 rows.n_read);
  if (begun)
    accumulate<V, ROWS, slots, BLOCKS, gates, Cell::recurrent_offset>(sums, rows.previous,
                                                                      packed.recurrent.data() + unit * width * gates, width);
  if (unit + size * BLOCKS > pass.units)
    for (int i = 0; i < ROWS; i++)
      for (int slot = 0; slot < slots; slot++)
        sums[i][slot] = within(sums[i][slot], BLOCKS == 1 ? unit : unit + size * slot, pass.units);
  finish_tile<V, Cell, Activation, BLOCKS, ROWS>(pass, rows, unit, sums);
}

template <class V, class Cell, class Activation, int BLOCKS, int ROWS>
static void forward_tiles(const Pass &pass, const RowsOfStep &rows, bool begun, int64_t unit, int64_t n) {
  if (n == ROWS)
    forward_tile<V, Cell, Activation, BLOCKS, ROWS>(pass, rows, begun, unit);
  else if constexpr (ROWS > 1)
    forward_tiles<V, Cell, Activation, BLOCKS, ROWS - 1>(pass, rows, begun, unit, n);
}

// BLOCKS of units of the first `n` rows of a part.
template <class V, class Cell, class Activation, int BLOCKS>
static void forward_blocks(const Pass &pass, const RowsOfStep &rows, int64_t n, int64_t n_begun, int64_t unit) {
  const int most = Tile<BLOCKS * Cell::slots>::rows;
  const Tiling tiling(n, most);
  for (int64_t tile = 0; tile < tiling.tiles; tile++) {
    const int64_t j = tiling.first(tile);
    // The first row is the longest: where it has no state before this one, none of the others has.
    const int64_t n_rows = tiling.first(tile + 1) - j;
    forward_tiles<V, Cell, Activation, BLOCKS, most>(pass, rows.from(j), j < n_begun, unit, n_rows);
  }
}

// With few rows and weights that are larger than the second-level cache, each step reads all weights from a far cache. The
// product with the inputs does not depend on the state: it is computed for several steps in one pass over its weights, and
// those of the state then stay in the near cache.
template <class Cell> class Ahead {
  static const int64_t large = 1 << 20;  // bytes of weights: about a second-level cache
  static const int64_t most_rows = 128;  // rows of all the steps together: with more rows a pass over the weights is cheap

 public:
  Ahead(const Pass &pass, const Rows &rows)
      : pass_(pass), rows_(rows), pays_(!pass.packed.looked_up && 2 * rows.count() <= most_rows &&
                                        (pass.n_read + pass.width) * row_size() * (int64_t)sizeof(float) > large),
        inputs_(pays_ ? most_rows : 0), written_(pays_ && pass.call.inputs.table ? most_rows * pass.n_read : 0),
        projected_(pays_ ? most_rows * row_size() : 0) {}

  bool pays() const { return pays_; }

  // What the inputs give to the gates of the rows that run at a time, those of the steps in their order.
  const float *at(int64_t step) {
    const Batch &batch = pass_.call.batch;
    if (step == end_) {
      int64_t n = 0;
      for (; end_ < batch.max_length && n + running(end_) <= most_rows; end_++)
        for (int64_t j = 0; j < running(end_); j++, n++)
          inputs_[n] = read_step(pass_.call.layer, pass_.call.inputs, batch.time_offsets[time(end_)] + rows_.first + j,
                                 rows_.first + j, written_.data() + (pass_.call.inputs.table ? n * pass_.n_read : 0));
      project_rows<Cell>(pass_.packed, pass_.width, inputs_.data(), pass_.n_read, projected_.data(), n);
      next_ = projected_.data();
    }
    const float *here = next_;
    next_ += running(step) * row_size();
    return here;
  }

  int64_t row_size() const { return pass_.width * Cell::gates; }

 private:
  const Pass &pass_;
  const Rows &rows_;
  const bool pays_;
  Buffer<const float *> inputs_;
  const Buffer<float> written_, projected_;
  int64_t end_ = 0;  // the step after those that are projected
  const float *next_ = nullptr;

  int64_t time(int64_t step) const { return pass_.direction.reverse ? pass_.call.batch.max_length - 1 - step : step; }
  int64_t running(int64_t step) const { return rows_.running(pass_.call.batch.batch_sizes[time(step)]); }
};

template <class Cell, class Activation> static void forward_part(const Pass &pass, int64_t part, int64_t n_parts) {
  const Forward &call = pass.call;
  const Batch &batch = call.batch;
  const Rows rows(batch, part, n_parts);
  Ahead<Cell> ahead(pass, rows);
  const int64_t width = pass.width, n_read = ahead.pays() ? 0 : pass.n_read;
  const int64_t room = call.inputs.table ? n_read : 0;
  const Buffer<float> zeros(width), memory(Cell::has_memory ? rows.count() * width : 0), written(rows.count() * room);
  Buffer<int64_t> positions(rows.count());
  Buffer<const float *> inputs(rows.count()), given(rows.count()), previous(rows.count());
  Buffer<float *> memories(rows.count());
  for (int64_t j = 0; j < rows.count() && Cell::has_memory; j++) memories[j] = memory.data() + j * width;
  const float *const looked_up = pass.packed.looked_up;
  const RowsOfStep rows_of_step{positions.data(),          inputs.data(),   n_read,         given.data(),
                                looked_up || ahead.pays(), previous.data(), memories.data()};

  for (int64_t step = 0; step < batch.max_length; step++) {
    const StepOfRows at(batch, rows, pass.direction.reverse, step);
    const float *projected = ahead.pays() ? ahead.at(step) : nullptr;
    for (int64_t j = 0; j < at.n; j++) {
      const int64_t row = rows.first + j, position = batch.time_offsets[at.time] + row;
      positions[j] = position;
      if (looked_up) given[j] = looked_up + call.inputs.ids[position] * ahead.row_size();
      if (projected) given[j] = projected + j * ahead.row_size();
      if (n_read) inputs[j] = read_step(call.layer, call.inputs, position, row, written.data() + j * room);
      previous[j] = j < at.n_begun ? pass.outputs + (batch.time_offsets[at.before] + row) * pass.stride : zeros.data();
    }
    int64_t unit = 0;
    const int blocks = most_blocks<Cell>;
    for (; unit + blocks * lanes<wide> <= width; unit += blocks * lanes<wide>)
      forward_blocks<wide, Cell, Activation, blocks>(pass, rows_of_step, at.n, at.n_begun, unit);
    for (; unit + lanes<wide> <= width; unit += lanes<wide>)
      forward_blocks<wide, Cell, Activation, 1>(pass, rows_of_step, at.n, at.n_begun, unit);
    if (unit < width) forward_blocks<v8, Cell, Activation, 1>(pass, rows_of_step, at.n, at.n_begun, unit);
  }
}

template <class Cell> static void forward_cell(const Forward &call) {
  const Layer &layer = call.layer;
  const int64_t units = layer.units, stride = layer.n_looked_up + layer.n_numbers;
  const Columns read(layer, call.inputs);
  Packed packed[2];
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &weights = layer.directions[i];
    pack<Cell>(packed[i].inputs, units, weights.weight_input + read.first, stride, read.n, false);
    pack<Cell>(packed[i].recurrent, units, weights.weight_recurrent, units, units, true);
    pack_bias<Cell>(packed[i].bias, units, weights);
    if (!layer.n_looked_up || call.inputs.table) continue;
    if (!weights.projected) pack_one_hot<Cell>(packed[i].one_hot, layer, weights, packed[i].bias);
    packed[i].looked_up = weights.projected ? weights.projected : packed[i].one_hot.data();
  }
  const int64_t n_parts = parts_of(call.n_threads, call.batch, units);
  for_activation(layer.activation, [&](auto activation) {
    parallel_for(call.n_threads, n_parts, [&](int64_t part) {
      for (int64_t i = 0; i < layer.n_directions; i++)
        forward_part<Cell, decltype(activation)>(Pass(call, packed[i], i, Cell::slots), part, n_parts);
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
  const int64_t stride = layer.n_looked_up + layer.n_numbers;
  pack<Cell>(packed.inputs, layer.units, weights.weight_input, stride, layer.n_looked_up, false);
  pack_bias<Cell>(packed.bias, layer.units, weights);
  const int64_t width = round_up(layer.units), dim = layer.n_looked_up;
  const int64_t n_parts = 4 * call.n_threads;  // a thread that other work interrupts does fewer of them
  parallel_for(call.n_threads, n_parts, [&](int64_t part) {
    const int64_t first = call.n_ids * part / n_parts, n = call.n_ids * (part + 1) / n_parts - first;
    Buffer<const float *> vectors(n);
    for (int64_t i = 0; i < n; i++) vectors[i] = call.table + (first + i) * dim;
    project_rows<Cell>(packed, width, vectors.data(), dim, call.projected + first * width * Cell::gates, n);
  });
}

void project(const Projection &call) {
  for_cell(call.layer.cell, [&](auto cell) { project_cell<decltype(cell)>(call); });
}

}  // namespace ISA
}  // namespace seqclf
