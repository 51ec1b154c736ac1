// The inputs of a layer at a step, as one vector.
#pragma once
#include "abi.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

// target = from * mask, or with ADD target += from * mask, for `n` floats. Without a mask it is all ones.
template <bool ADD> static inline void apply_mask(float *target, const float *from, const float *mask, int64_t n) {
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

// The columns of the input weights that are multiplied at each step. Without an embedding, those before `first` belong to ids,
// whose sums are looked up instead (Packed::looked_up).
struct MultipliedColumns {
  int64_t first, n;
  explicit MultipliedColumns(const Layer &layer, const Inputs &inputs)
      : first(inputs.embedding ? 0 : layer.n_looked_up), n(layer.n_values + layer.n_looked_up - first) {}
};

// The inputs for those columns: the numeric values, or with an embedding `buffer`, to which the inputs are written.
static inline const float *step_inputs(const Layer &layer, const Inputs &inputs, int64_t position, int64_t row, float *buffer) {
  const int64_t dim = layer.n_looked_up, n = layer.n_values;
  const float *values = inputs.values + position * n;
  if (!inputs.embedding) return values;
  apply_mask<false>(buffer, inputs.embedding + inputs.ids[position] * dim, inputs.mask ? inputs.mask + row * dim : nullptr,
                    dim);
  for (int64_t k = 0; k < n; k++) buffer[dim + k] = values[k];
  return buffer;
}

}  // namespace ISA
}  // namespace seqclf
