// What a layer reads at a step, as one row of numbers.
#pragma once
#include "abi.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

// target = or += from * mask (ones where there is none), `n` floats
template <bool ADD> static inline void times_mask(float *target, const float *from, const float *mask, int64_t n) {
  int64_t k = 0;
  for (; k + 8 <= n; k += 8) {
    const v8 value = mask ? load(from + k) * load(mask + k) : load(from + k);
    store(target + k, ADD ? load(target + k) + value : value);
  }
  for (; k < n; k++) {
    const float value = mask ? from[k] * mask[k] : from[k];
    target[k] = ADD ? target[k] + value : value;
  }
}

// The columns of the input weights that are multiplied at each step; those before `first` belong to ids that are looked up
// in what the weights give them.
struct Columns {
  int64_t first, n;
  explicit Columns(const Layer &layer, const Inputs &inputs)
      : first(inputs.table ? 0 : layer.n_looked_up), n(layer.n_numbers + layer.n_looked_up - first) {}
};

// What stands against those columns at a step: numbers as they lie, or, with a table, written to `room`.
static inline const float *read_step(const Layer &layer, const Inputs &inputs, int64_t position, int64_t row, float *room) {
  const int64_t dim = layer.n_looked_up, n = layer.n_numbers;
  const float *numbers = inputs.numbers + position * n;
  if (!inputs.table) return numbers;
  times_mask<false>(room, inputs.table + inputs.ids[position] * dim, inputs.mask ? inputs.mask + row * dim : nullptr, dim);
  for (int64_t k = 0; k < n; k++) room[dim + k] = numbers[k];
  return room;
}

}  // namespace ISA
}  // namespace seqclf
