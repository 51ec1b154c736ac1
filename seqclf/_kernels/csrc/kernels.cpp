// Forward and backward through time for rnn, lstm and gru over ragged batches. Compiled once for each kind of processor,
// with ISA the name of a namespace for it.
//
// A thread owns some rows (sequences) and walks all their steps; threads never wait for one another. At every step the
// units are taken eight at a time (a block): the gates of a block, for a few rows, are accumulated in registers over the
// inputs and the previous hidden state, and turned into the new state before anything is written. A row's sums run over
// inputs, then units, in the same order whatever rows are beside it, so its results don't depend on them.
#include <string.h>

#include "buffer.h"
#include "interface.h"
#include "kernels.h"
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

// sums[i][OFFSET + g] += row i (n values) times weights (n, GATES, 8)
template <int ROWS, int SLOTS, int GATES, int OFFSET>
static inline __attribute__((always_inline)) void accumulate(v8 (&sums)[ROWS][SLOTS], const float *const *rows,
                                                             const float *weights, int64_t n) {
  for (int64_t k = 0; k < n; k++, weights += GATES * 8) {
    v8 w[GATES];
#pragma GCC unroll 8
    for (int g = 0; g < GATES; g++) w[g] = load(weights + 8 * g);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++) {
      const v8 value = broadcast(rows[i][k]);
#pragma GCC unroll 8
      for (int g = 0; g < GATES; g++) sums[i][OFFSET + g] += value * w[g];
    }
  }
}

// Weights as the tiles read them: [block of units][k][gate][8], zeros beyond the last unit.
template <int CELL>
static void pack(Buffer<float> &packed, const Layer &layer, const float *weights, int64_t n, bool recurrent) {
  const int gates = Shape<CELL>::gates;
  const int64_t units = layer.units, width = round_up(units), padded_n = recurrent ? width : n;
  packed.allocate(width * padded_n * gates);
  for (int gate = 0; gate < gates; gate++) {
    const float *source = weights + torch_gate<CELL>(gate, recurrent) * units * n;
    for (int64_t unit = 0; unit < units; unit++) {
      float *target = packed.data() + (unit / 8) * padded_n * gates * 8 + gate * 8 + unit % 8;
      for (int64_t k = 0; k < n; k++) target[k * gates * 8] = source[unit * n + k];
    }
  }
}

// Recurrent weights for the way back: [pair of blocks][gate, unit][1 or 2][8]; a last block without a partner stands alone.
template <int CELL> static void pack_transposed(Buffer<float> &packed, const Layer &layer) {
  const int gates = Shape<CELL>::gates;
  const int64_t units = layer.units, width = round_up(units), depth = gates * width;
  packed.allocate(width * depth);
  for (int gate = 0; gate < gates; gate++) {
    const float *source = layer.weight_recurrent + torch_gate<CELL>(gate, true) * units * units;
    for (int64_t unit = 0; unit < units; unit++)
      for (int64_t k = 0; k < units; k++) {  // k is the unit of the previous state
        const int64_t pair = k / 16, blocks = (pair * 16 + 16 <= width) ? 2 : 1;
        packed[pair * depth * 16 + (gate * width + unit) * blocks * 8 + k % 16] = source[unit * units + k];
      }
  }
}

template <int CELL> static void pack_bias(Buffer<float> &packed, const Layer &layer) {
  const int slots = Shape<CELL>::slots;
  const int64_t units = layer.units, width = round_up(units);
  packed.allocate(slots * width);
  for (int64_t unit = 0; unit < units; unit++)
    if (CELL == GRU) {
      packed[0 * width + unit] = layer.bias[2 * units + unit];
      packed[1 * width + unit] = layer.bias[unit] + layer.bias_recurrent[unit];
      packed[2 * width + unit] = layer.bias[units + unit] + layer.bias_recurrent[units + unit];
      packed[3 * width + unit] = layer.bias_recurrent[2 * units + unit];
    } else {
      for (int slot = 0; slot < slots; slot++) packed[slot * width + unit] = layer.bias[slot * units + unit];
    }
}

// The rows of a thread: every so many-th group of neighbours, so that long and short sequences are shared out evenly.
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

struct Packed {
  Buffer<float> input, recurrent, bias;
};

// ---- forward -----------------------------------------------------------------------------------------------------

template <int CELL, int ROWS>
static inline void forward_tile(const Forward &call, const Packed &packed, const int64_t *positions,
                                const float *const *previous, float *const *memories, int64_t block) {
  const int slots = Shape<CELL>::slots, gates = Shape<CELL>::gates;
  const Layer &layer = call.layer;
  const int64_t width = round_up(layer.units), unit = block * 8;
  const float *bias = packed.bias.data() + unit;
  const float *weights = packed.input.data() + block * layer.n_inputs * gates * 8;

  v8 sums[ROWS][slots];
  const float *inputs[ROWS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (int slot = 0; slot < slots; slot++) sums[i][slot] = load(bias + slot * width);
  if (call.ids) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 4
      for (int gate = 0; gate < gates; gate++)
        sums[i][gate] += load(weights + call.ids[positions[i]] * gates * 8 + gate * 8);
  } else {
    for (int i = 0; i < ROWS; i++) inputs[i] = call.inputs + positions[i] * layer.n_inputs;
    accumulate<ROWS, slots, gates, 0>(sums, inputs, weights, layer.n_inputs);
  }
  accumulate<ROWS, slots, gates, Shape<CELL>::recurrent_offset>(
      sums, previous, packed.recurrent.data() + block * width * gates * 8, width);
  if (unit + 8 > layer.units)
    for (int i = 0; i < ROWS; i++)
      for (int slot = 0; slot < slots; slot++) sums[i][slot] = within(sums[i][slot], unit, layer.units);

#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++) {
    float *output = call.outputs + positions[i] * width + unit;
    float *saved = call.gates && slots > 1 ? call.gates + positions[i] * slots * width + unit : nullptr;
    if (CELL == RNN_TANH) {
      store(output, tanh(sums[i][0]));
    } else if (CELL == RNN_RELU) {
      store(output, relu(sums[i][0]));
    } else if (CELL == LSTM) {
      const v8 in = sigmoid(sums[i][0]), forget = sigmoid(sums[i][1]);
      const v8 candidate = tanh(sums[i][2]), out = sigmoid(sums[i][3]);
      const v8 memory = forget * load(memories[i] + unit) + in * candidate;
      store(output, out * tanh(memory));
      store(memories[i] + unit, memory);
      if (saved) {
        store(saved, in);
        store(saved + width, forget);
        store(saved + 2 * width, candidate);
        store(saved + 3 * width, out);
        store(call.memory + positions[i] * width + unit, memory);
      }
    } else {
      const v8 reset = sigmoid(sums[i][1]), update = sigmoid(sums[i][2]), hidden = sums[i][3];
      const v8 candidate = tanh(sums[i][0] + reset * hidden);
      store(output, candidate + update * (load(previous[i] + unit) - candidate));
      if (saved) {
        store(saved, candidate);
        store(saved + width, reset);
        store(saved + 2 * width, update);
        store(saved + 3 * width, hidden);
      }
    }
  }
}

template <int CELL, int ROWS>
static void forward_tiles(const Forward &call, const Packed &packed, const int64_t *positions,
                          const float *const *previous, float *const *memories, int64_t block, int64_t n) {
  if (n == ROWS)
    forward_tile<CELL, ROWS>(call, packed, positions, previous, memories, block);
  else if constexpr (ROWS > 1)
    forward_tiles<CELL, ROWS - 1>(call, packed, positions, previous, memories, block, n);
}

template <int CELL> static void forward_part(const Forward &call, const Packed &packed, int64_t part, int64_t n_parts) {
  const Batch &batch = call.batch;
  const int64_t width = round_up(call.layer.units);
  const Rows rows(batch.n_rows, part, n_parts);
  const Buffer<float> zeros(width), memory(CELL == LSTM ? rows.n * width : 0);
  Buffer<int64_t> positions(rows.n);
  Buffer<const float *> previous(rows.n);
  Buffer<float *> memories(rows.n);
  for (int64_t j = 0; j < rows.n && CELL == LSTM; j++) memories[j] = memory.data() + j * width;

  for (int64_t step = 0; step < batch.n_times; step++) {
    const int64_t time = call.layer.reverse ? batch.n_times - 1 - step : step;
    const int64_t before = call.layer.reverse ? time + 1 : time - 1;
    const int64_t running_before = before < 0 || before >= batch.n_times ? 0 : batch.active[before];
    const int64_t n = prefix(rows, batch.active[time], rows.n);
    for (int64_t j = 0; j < n; j++) {
      positions[j] = batch.starts[time] + rows[j];
      previous[j] = rows[j] < running_before ? call.outputs + (batch.starts[before] + rows[j]) * width : zeros.data();
    }
    const int tile = Tile<Shape<CELL>::slots>::rows;
    for (int64_t block = 0; block < width / 8; block++)
      for (int64_t j = 0; j < n; j += tile)
        forward_tiles<CELL, tile>(call, packed, &positions[j], &previous[j], &memories[j], block,
                                  n - j < tile ? n - j : tile);
  }
}

template <int CELL> static void forward_cell(const Forward &call) {
  Packed packed;
  pack<CELL>(packed.input, call.layer, call.layer.weight_input, call.layer.n_inputs, false);
  pack<CELL>(packed.recurrent, call.layer, call.layer.weight_recurrent, call.layer.units, true);
  pack_bias<CELL>(packed.bias, call.layer);
  struct Context {
    const Forward &call;
    const Packed &packed;
  } context{call, packed};
  in_parallel(call.n_threads, &context, [](void *pointer, int64_t part, int64_t n_parts) {
    const Context &context = *(const Context *)pointer;
    forward_part<CELL>(context.call, context.packed, part, n_parts);
  });
}

// ---- backward ----------------------------------------------------------------------------------------------------

// Gradients of the gates of one row at one step from that of its hidden state; 8 units.
template <int CELL>
static inline void backward_unit(const Backward &call, int64_t position, int64_t previous, int64_t unit, int64_t width,
                                 float *grad_hidden, float *grad_memory, float *grad_bias) {
  const v8 one = broadcast(1.0f), zero = broadcast(0.0f);
  float *gates = call.gates + position * Shape<CELL>::slots * width + unit;
  const v8 grad = within(load(grad_hidden) + load(call.grad_outputs + position * width + unit), unit, call.layer.units);
  v8 grads[Shape<CELL>::slots];
  if (CELL == RNN_TANH || CELL == RNN_RELU) {
    const v8 hidden = load(call.outputs + position * width + unit);
    if (CELL == RNN_TANH)
      grads[0] = grad * (one - hidden * hidden);
    else
      grads[0] = hidden > zero ? grad : grad * zero + (hidden - hidden);  // NaN stays NaN
    store(grad_hidden, zero);
  } else if constexpr (CELL == LSTM) {
    const v8 in = load(gates), forget = load(gates + width), candidate = load(gates + 2 * width);
    const v8 out = load(gates + 3 * width);
    const v8 before = previous < 0 ? zero : load(call.memory + previous * width + unit);
    const v8 squashed = tanh(load(call.memory + position * width + unit));
    const v8 memory = load(grad_memory) + grad * out * (one - squashed * squashed);
    grads[0] = memory * candidate * in * (one - in);
    grads[1] = memory * before * forget * (one - forget);
    grads[2] = memory * in * (one - candidate * candidate);
    grads[3] = grad * squashed * out * (one - out);
    store(grad_memory, memory * forget);
    store(grad_hidden, zero);
  } else if constexpr (CELL == GRU) {
    const v8 candidate = load(gates), reset = load(gates + width), update = load(gates + 2 * width);
    const v8 hidden = load(gates + 3 * width);
    const v8 before = previous < 0 ? zero : load(call.outputs + previous * width + unit);
    grads[0] = grad * (one - update) * (one - candidate * candidate);
    grads[1] = grads[0] * hidden * reset * (one - reset);
    grads[2] = grad * (before - candidate) * update * (one - update);
    grads[3] = grads[0] * reset;
    store(grad_hidden, grad * update);
  }
  for (int slot = 0; slot < Shape<CELL>::slots; slot++) {
    store(gates + slot * width, grads[slot]);
    float *sum = grad_bias + slot * width + unit;
    store(sum, load(sum) + grads[slot]);
  }
}

// grad_hidden[i] += gradients of the recurrent gates of row i times the recurrent weights; BLOCKS * 8 units.
template <int BLOCKS, int ROWS>
static inline void backward_tile(const float *const *grads, const float *weights, int64_t depth,
                                 float *const *grad_hidden, int64_t unit) {
  v8 sums[ROWS][BLOCKS];
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++) sums[i][b] = load(grad_hidden[i] + unit + 8 * b);
  accumulate<ROWS, BLOCKS, BLOCKS, 0>(sums, grads, weights, depth);
#pragma GCC unroll 16
  for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
    for (int b = 0; b < BLOCKS; b++) store(grad_hidden[i] + unit + 8 * b, sums[i][b]);
}

template <int BLOCKS, int ROWS>
static void backward_tiles(const float *const *grads, const float *weights, int64_t depth, float *const *grad_hidden,
                           int64_t unit, int64_t n) {
  if (n == ROWS)
    backward_tile<BLOCKS, ROWS>(grads, weights, depth, grad_hidden, unit);
  else if constexpr (ROWS > 1)
    backward_tiles<BLOCKS, ROWS - 1>(grads, weights, depth, grad_hidden, unit, n);
}

template <int CELL>
static void backward_part(const Backward &call, const Buffer<float> &weights, int64_t part, int64_t n_parts,
                          float *grad_bias) {
  const int slots = Shape<CELL>::slots, gates = Shape<CELL>::gates;
  const Batch &batch = call.batch;
  const int64_t width = round_up(call.layer.units), depth = gates * width;
  const Rows rows(batch.n_rows, part, n_parts);
  const Buffer<float> hidden(rows.n * width), memory(CELL == LSTM ? rows.n * width : 0);
  Buffer<const float *> grads(rows.n);
  Buffer<float *> grad_hidden(rows.n);
  for (int64_t j = 0; j < rows.n; j++) grad_hidden[j] = hidden.data() + j * width;

  for (int64_t step = 0; step < batch.n_times; step++) {
    const int64_t time = call.layer.reverse ? step : batch.n_times - 1 - step;
    const int64_t before = call.layer.reverse ? time + 1 : time - 1;
    const int64_t running_before = before < 0 || before >= batch.n_times ? 0 : batch.active[before];
    const int64_t n = prefix(rows, batch.active[time], rows.n);
    for (int64_t j = 0; j < n; j++) {
      const int64_t position = batch.starts[time] + rows[j];
      const int64_t previous = rows[j] < running_before ? batch.starts[before] + rows[j] : -1;
      for (int64_t unit = 0; unit < width; unit += 8)
        backward_unit<CELL>(call, position, previous, unit, width, grad_hidden[j] + unit,
                            CELL == LSTM ? memory.data() + j * width + unit : nullptr, grad_bias);
      grads[j] = call.gates + (position * slots + Shape<CELL>::recurrent_offset) * width;
    }
    const int64_t m = prefix(rows, running_before, n);  // rows that have a state before this one
    for (int64_t unit = 0; unit < width; unit += 16) {
      const float *panel = weights.data() + unit * depth;
      if (unit + 16 <= width)
        for (int64_t j = 0; j < m; j += Tile<2>::rows)
          backward_tiles<2, Tile<2>::rows>(&grads[j], panel, depth, &grad_hidden[j], unit,
                                           m - j < Tile<2>::rows ? m - j : Tile<2>::rows);
      else
        for (int64_t j = 0; j < m; j += Tile<1>::rows)
          backward_tiles<1, Tile<1>::rows>(&grads[j], panel, depth, &grad_hidden[j], unit,
                                           m - j < Tile<1>::rows ? m - j : Tile<1>::rows);
    }
  }
}

template <int CELL> static void backward_cell(const Backward &call) {
  const int64_t size = Shape<CELL>::slots * round_up(call.layer.units);
  Buffer<float> weights;
  pack_transposed<CELL>(weights, call.layer);
  // A sum for each thread, added up in their order: the same bits each time.
  const Buffer<float> grad_bias(call.n_threads * size);
  struct Context {
    const Backward &call;
    const Buffer<float> &weights, &grad_bias;
    int64_t size;
  } context{call, weights, grad_bias, size};
  in_parallel(call.n_threads, &context, [](void *pointer, int64_t part, int64_t n_parts) {
    const Context &context = *(const Context *)pointer;
    backward_part<CELL>(context.call, context.weights, part, n_parts, context.grad_bias.data() + part * context.size);
  });
  memset(call.grad_bias, 0, size * sizeof(float));
  for (int64_t part = 0; part < call.n_threads; part++)
    for (int64_t k = 0; k < size; k++) call.grad_bias[k] += grad_bias[part * size + k];
}

void forward(const Forward &call) {
  switch (call.layer.cell) {
    case RNN_TANH: return forward_cell<RNN_TANH>(call);
    case RNN_RELU: return forward_cell<RNN_RELU>(call);
    case LSTM: return forward_cell<LSTM>(call);
    case GRU: return forward_cell<GRU>(call);
  }
}

void backward(const Backward &call) {
  switch (call.layer.cell) {
    case RNN_TANH: return backward_cell<RNN_TANH>(call);
    case RNN_RELU: return backward_cell<RNN_RELU>(call);
    case LSTM: return backward_cell<LSTM>(call);
    case GRU: return backward_cell<GRU>(call);
  }
}

}  // namespace ISA
}  // namespace seqclf
