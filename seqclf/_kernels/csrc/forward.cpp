// Forward through time for rnn, lstm and gru over ragged batches. Compiled once for each kind of processor, with ISA the name
// of a namespace for it.
//
// A part of the work is some rows (sequences), all their steps; threads never wait for one another. At every step the
// units are taken as many at a time as a vector holds (a block): the gates of a block, for a few rows, are accumulated in registers over the
// inputs and the previous hidden state, and turned into the new state before anything is written. A row's sums run over
// inputs, then units, in the same order whatever rows are beside it, so its results don't depend on them.
#include "cells.h"
#include "kernels.h"
#include "parts.h"
#include "reading.h"

namespace seqclf {
namespace ISA {

// sums[i][OFFSET + g] += row i (n values) times weights (n, GATES, lanes), or, of the single gates of BLOCKS, (BLOCKS, n, lanes)
template <class V, int ROWS, int SLOTS, int BLOCKS, int GATES, int OFFSET>
static inline __attribute__((always_inline)) void accumulate(V (&sums)[ROWS][SLOTS], const float *const *rows,
                                                             const float *weights, int64_t n) {
  static_assert(BLOCKS == 1 || GATES == 1, "several blocks of several gates");
  const int columns = BLOCKS * GATES;
  const int64_t apart = BLOCKS == 1 ? lanes<V> : n * lanes<V>;
  for (int64_t k = 0; k < n; k++, weights += GATES * lanes<V>) {
    V w[columns];
#pragma GCC unroll 8
    for (int g = 0; g < columns; g++) w[g] = load<V>(weights + apart * g);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      const V value = broadcast<V>(rows[i][k]);
#pragma GCC unroll 8
      for (int g = 0; g < columns; g++) sums[i][OFFSET + g] += value * w[g];
    }
  }
}

// `n` columns of weights, whose rows are `stride` long, as the tiles read them: [block of units][k][gate][unit], zeros beyond
// the last unit.
template <int CELL>
static void pack(Buffer<float> &packed, int64_t units, const float *weights, int64_t stride, int64_t n, bool recurrent) {
  const int gates = Shape<CELL>::gates;
  const int64_t width = round_up(units), padded_n = recurrent ? width : n;
  packed.allocate(width * padded_n * gates);
  for (int gate = 0; gate < gates; gate++) {
    const float *source = weights + torch_gate<CELL>(gate, recurrent) * units * stride;
    for (int64_t unit = 0; unit < units; unit++) {
      const Block block(unit, width);
      float *target = packed.data() + block.first * padded_n * gates + gate * block.size + unit - block.first;
      for (int64_t k = 0; k < n; k++) target[k * gates * block.size] = source[unit * stride + k];
    }
  }
}

template <int CELL> static void pack_bias(Buffer<float> &packed, int64_t units, const Direction &weights) {
  const int slots = Shape<CELL>::slots;
  const int64_t width = round_up(units);
  packed.allocate(slots * width);
  for (int64_t unit = 0; unit < units; unit++)
    if (CELL == GRU) {
      packed[0 * width + unit] = weights.bias[2 * units + unit];
      packed[1 * width + unit] = weights.bias[unit] + weights.bias_recurrent[unit];
      packed[2 * width + unit] = weights.bias[units + unit] + weights.bias_recurrent[units + unit];
      packed[3 * width + unit] = weights.bias_recurrent[2 * units + unit];
    } else {
      for (int slot = 0; slot < slots; slot++) packed[slot * width + unit] = weights.bias[slot * units + unit];
    }
}

// What each one-hot id gives to the gates, with the bias: [id][block of units][gate][unit].
template <int CELL>
static void pack_one_hot(Buffer<float> &table, const Layer &layer, const Direction &weights, const Buffer<float> &bias) {
  const int gates = Shape<CELL>::gates;
  const int64_t units = layer.units, width = round_up(units), stride = layer.n_looked_up + layer.n_numbers;
  table.allocate(layer.n_looked_up * width * gates);
  for (int gate = 0; gate < gates; gate++)
    for (int64_t unit = 0; unit < units; unit++) {
      const float *source = weights.weight_input + (torch_gate<CELL>(gate, false) * units + unit) * stride;
      float *target = table.data() + place(unit, width, gate, gates);
      for (int64_t id = 0; id < layer.n_looked_up; id++) target[id * width * gates] = bias[gate * width + unit] + source[id];
    }
}

struct Packed {
  Buffer<float> inputs, recurrent, bias, one_hot;
  const float *looked_up = nullptr;  // by id
};

// The steps of a layer in one direction.
struct Pass {
  const Forward &call;
  const Packed &packed;
  const Direction &direction;
  const int64_t units, width, n_read;
  float *const outputs, *const gates, *const memory;  // this direction's; gates and memory may be null
  const int64_t stride;                               // of `outputs` from step to step

  Pass(const Forward &call, const Packed &packed, int64_t index, int64_t slots)
      : call(call), packed(packed), direction(call.layer.directions[index]), units(call.layer.units),
        width(round_up(units)), n_read(Columns(call.layer, call.inputs).n), outputs(call.outputs + index * width),
        gates(call.gates ? call.gates + index * n_steps(call.batch) * width * slots : nullptr),
        memory(call.memory ? call.memory + index * n_steps(call.batch) * width : nullptr),
        stride(call.layer.n_directions * width) {}
};

// A few rows of a part at one step.
struct RowsOfStep {
  const int64_t *positions;
  const float *const *inputs;    // what each reads
  const float *const *previous;  // its state before
  float *const *memories;        // an lstm's, which is updated

  RowsOfStep from(int64_t row) const { return {positions + row, inputs + row, previous + row, memories + row}; }
};

// The units from `unit` on: BLOCKS of as many as V holds.
template <class V, int CELL, int BLOCKS, int ROWS>
static inline void forward_tile(const Pass &pass, const RowsOfStep &rows, bool begun, int64_t unit) {
  const int slots = BLOCKS * Shape<CELL>::slots, gates = Shape<CELL>::gates, size = lanes<V>;
  const Packed &packed = pass.packed;
  const int64_t *positions = rows.positions;
  const int64_t width = pass.width, apart = BLOCKS == 1 ? width : size;
  const float *bias = packed.bias.data() + unit;

  V sums[ROWS][slots];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (int slot = 0; slot < slots; slot++) sums[i][slot] = load<V>(bias + slot * apart);
  if (packed.looked_up) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < BLOCKS * gates; gate++)
        sums[i][gate] = load<V>(packed.looked_up + (pass.call.inputs.ids[positions[i]] * width + unit) * gates + gate * size);
  }
  if (pass.n_read)
    accumulate<V, ROWS, slots, BLOCKS, gates, 0>(sums, rows.inputs, packed.inputs.data() + unit * pass.n_read * gates,
                                                 pass.n_read);
  if (begun)
    accumulate<V, ROWS, slots, BLOCKS, gates, Shape<CELL>::recurrent_offset>(
        sums, rows.previous, packed.recurrent.data() + unit * width * gates, width);
  if (unit + size * BLOCKS > pass.units)
    for (int i = 0; i < ROWS; i++)
      for (int slot = 0; slot < slots; slot++)
        sums[i][slot] = within(sums[i][slot], BLOCKS == 1 ? unit : unit + size * slot, pass.units);

  // Two passes where one waits for the other: the rows of a pass don't wait for one another.
  if constexpr (CELL == LSTM) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      const V in = sigmoid(sums[i][0]), forget = sigmoid(sums[i][1]);
      const V candidate = tanh(sums[i][2]), out = sigmoid(sums[i][3]);
      const V memory = forget * load<V>(rows.memories[i] + unit) + in * candidate;
      store(rows.memories[i] + unit, memory);
      if (pass.gates) {
        float *saved = pass.gates + (positions[i] * width + unit) * slots;
        store(saved, in);
        store(saved + size, forget);
        store(saved + 2 * size, candidate);
        store(saved + 3 * size, out);
        store(pass.memory + positions[i] * width + unit, memory);
      }
      sums[i][0] = memory;
      sums[i][3] = out;
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) store(pass.outputs + positions[i] * pass.stride + unit, sums[i][3] * tanh(sums[i][0]));
  } else if constexpr (CELL == GRU) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      sums[i][1] = sigmoid(sums[i][1]);
      sums[i][2] = sigmoid(sums[i][2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      const V reset = sums[i][1], update = sums[i][2], hidden = sums[i][3];
      const V candidate = tanh(sums[i][0] + reset * hidden);
      store(pass.outputs + positions[i] * pass.stride + unit, candidate + update * (load<V>(rows.previous[i] + unit) - candidate));
      if (pass.gates) {
        float *saved = pass.gates + (positions[i] * width + unit) * slots;
        store(saved, candidate);
        store(saved + size, reset);
        store(saved + 2 * size, update);
        store(saved + 3 * size, hidden);
      }
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
      for (int b = 0; b < BLOCKS; b++)
        store(pass.outputs + positions[i] * pass.stride + unit + size * b, CELL == RNN_TANH ? tanh(sums[i][b]) : relu(sums[i][b]));
  }
}

template <class V, int CELL, int BLOCKS, int ROWS>
static void forward_tiles(const Pass &pass, const RowsOfStep &rows, bool begun, int64_t unit, int64_t n) {
  if (n == ROWS)
    forward_tile<V, CELL, BLOCKS, ROWS>(pass, rows, begun, unit);
  else if constexpr (ROWS > 1)
    forward_tiles<V, CELL, BLOCKS, ROWS - 1>(pass, rows, begun, unit, n);
}

// BLOCKS of units of the first `n` rows of a part.
template <class V, int CELL, int BLOCKS>
static void forward_blocks(const Pass &pass, const RowsOfStep &rows, int64_t n, int64_t n_begun, int64_t unit) {
  const int most = Tile<BLOCKS * Shape<CELL>::slots>::rows;
  const Tiling tiling(n, most);
  for (int64_t tile = 0; tile < tiling.tiles; tile++) {
    const int64_t j = tiling.first(tile);
    // The first row is the longest: where it has no state before this one, none of the others has.
    forward_tiles<V, CELL, BLOCKS, most>(pass, rows.from(j), j < n_begun, unit, tiling.first(tile + 1) - j);
  }
}

template <int CELL> static void forward_part(const Pass &pass, int64_t part, int64_t n_parts) {
  const Forward &call = pass.call;
  const Batch &batch = call.batch;
  const int64_t width = pass.width, reverse = pass.direction.reverse, room = call.inputs.table ? pass.n_read : 0;
  const Rows rows(batch, part, n_parts);
  const Buffer<float> zeros(width), memory(CELL == LSTM ? rows.count() * width : 0), written(rows.count() * room);
  Buffer<int64_t> positions(rows.count());
  Buffer<const float *> inputs(rows.count()), previous(rows.count());
  Buffer<float *> memories(rows.count());
  for (int64_t j = 0; j < rows.count() && CELL == LSTM; j++) memories[j] = memory.data() + j * width;
  const RowsOfStep at_step{positions.data(), inputs.data(), previous.data(), memories.data()};

  for (int64_t step = 0; step < batch.n_times; step++) {
    const int64_t time = reverse ? batch.n_times - 1 - step : step, before = reverse ? time + 1 : time - 1;
    const int64_t running_before = before < 0 || before >= batch.n_times ? 0 : batch.active[before];
    const int64_t n = rows.running(batch.active[time]), n_begun = rows.running(running_before);
    for (int64_t j = 0; j < n; j++) {
      const int64_t row = rows.first + j, position = batch.starts[time] + row;
      positions[j] = position;
      inputs[j] = read_step(call.layer, call.inputs, position, row, written.data() + j * room);
      previous[j] = j < n_begun ? pass.outputs + (batch.starts[before] + row) * pass.stride : zeros.data();
    }
    // Two blocks of single gates at a time: one would leave a load for each multiplication.
    int64_t unit = 0;
    if constexpr (Shape<CELL>::slots == 1)
      for (; unit + 2 * lanes<wide> <= width; unit += 2 * lanes<wide>)
        forward_blocks<wide, CELL, 2>(pass, at_step, n, n_begun, unit);
    for (; unit + lanes<wide> <= width; unit += lanes<wide>) forward_blocks<wide, CELL, 1>(pass, at_step, n, n_begun, unit);
    if (unit < width) forward_blocks<v8, CELL, 1>(pass, at_step, n, n_begun, unit);
  }
}

template <int CELL> static void forward_cell(const Forward &call) {
  const Layer &layer = call.layer;
  const int64_t units = layer.units, stride = layer.n_looked_up + layer.n_numbers;
  const Columns read(layer, call.inputs);
  Packed packed[2];
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &weights = layer.directions[i];
    pack<CELL>(packed[i].inputs, units, weights.weight_input + read.first, stride, read.n, false);
    pack<CELL>(packed[i].recurrent, units, weights.weight_recurrent, units, units, true);
    pack_bias<CELL>(packed[i].bias, units, weights);
    if (!layer.n_looked_up || call.inputs.table) continue;
    if (!weights.projected) pack_one_hot<CELL>(packed[i].one_hot, layer, weights, packed[i].bias);
    packed[i].looked_up = weights.projected ? weights.projected : packed[i].one_hot.data();
  }
  struct Context {
    const Forward &call;
    const Packed *packed;
  } context{call, packed};
  const int64_t n_parts = parts_of(call.n_threads, call.batch, units);
  in_parallel(call.n_threads, n_parts, &context, [](void *pointer, int64_t part, int64_t n_parts) {
    const Context &context = *(const Context *)pointer;
    for (int64_t i = 0; i < context.call.layer.n_directions; i++)
      forward_part<CELL>(Pass(context.call, context.packed[i], i, Shape<CELL>::slots), part, n_parts);
  });
}

void forward(const Forward &call) {
  switch (call.layer.cell) {
    case RNN_TANH: return forward_cell<RNN_TANH>(call);
    case RNN_RELU: return forward_cell<RNN_RELU>(call);
    case LSTM: return forward_cell<LSTM>(call);
    case GRU: return forward_cell<GRU>(call);
  }
}

// The bias and the ids' vectors times the weights, summed as forward_tile sums them, which goes on from there: the same bits.
template <class V, int CELL, int ROWS>
static void project_tiles(const Projection &call, const Packed &packed, int64_t unit, int64_t id, int64_t n) {
  if (n == ROWS) {
    const int gates = Shape<CELL>::gates;
    const int64_t width = round_up(call.layer.units), dim = call.layer.n_looked_up;
    V sums[ROWS][gates];
    const float *vectors[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      vectors[i] = call.table + (id + i) * dim;
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; gate++) sums[i][gate] = load<V>(packed.bias.data() + gate * width + unit);
    }
    accumulate<V, ROWS, gates, 1, gates, 0>(sums, vectors, packed.inputs.data() + unit * dim * gates, dim);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; gate++)
        store(call.projected + ((id + i) * width + unit) * gates + gate * lanes<V>, sums[i][gate]);
  } else if constexpr (ROWS > 1) {
    project_tiles<V, CELL, ROWS - 1>(call, packed, unit, id, n);
  }
}

template <int CELL> static void project_cell(const Projection &call) {
  const Layer &layer = call.layer;
  Packed packed;
  const Direction &weights = layer.directions[0];
  const int64_t stride = layer.n_looked_up + layer.n_numbers;
  pack<CELL>(packed.inputs, layer.units, weights.weight_input, stride, layer.n_looked_up, false);
  pack_bias<CELL>(packed.bias, layer.units, weights);
  struct Context {
    const Projection &call;
    const Packed &packed;
  } context{call, packed};
  in_parallel(call.n_threads, 4 * call.n_threads, &context, [](void *pointer, int64_t part, int64_t n_parts) {
    const Context &context = *(const Context *)pointer;
    const int64_t first = context.call.n_ids * part / n_parts, last = context.call.n_ids * (part + 1) / n_parts;
    const int64_t width = round_up(context.call.layer.units);
    const int tile = Tile<Shape<CELL>::slots>::rows;
    for (int64_t unit = 0; unit < width; unit += Block(unit, width).size)
      for (int64_t id = first; id < last; id += tile) {
        const int64_t n = last - id < tile ? last - id : tile;
        if (Block(unit, width).size == lanes<wide>)
          project_tiles<wide, CELL, tile>(context.call, context.packed, unit, id, n);
        else
          project_tiles<v8, CELL, tile>(context.call, context.packed, unit, id, n);
      }
  });
}

void project(const Projection &call) {
  switch (call.layer.cell) {
    case RNN_TANH:
    case RNN_RELU: return project_cell<RNN_TANH>(call);
    case LSTM: return project_cell<LSTM>(call);
    case GRU: return project_cell<GRU>(call);
  }
}

}  // namespace ISA
}  // namespace seqclf
