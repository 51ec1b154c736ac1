// The way into the first layer: steps into the order of the batch, token ids to vectors, and their gradient back into the
// table. Compiled like forward.cpp.
#include <string.h>

#include "kernels.h"
#include "vector.h"

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

template <typename T> static void arrange_as(const Arrangement &call) {
  const T *steps = (const T *)call.steps;
  T *arranged = (T *)call.arranged;
  for (int64_t time = 0; time < call.batch.n_times; time++)
    for (int64_t row = 0; row < call.batch.active[time]; row++) *arranged++ = steps[call.offsets[row] + time];
}

void arrange(const Arrangement &call) {
  if (call.step_bytes == 8) return arrange_as<int64_t>(call);
  if (call.step_bytes == 4) return arrange_as<int32_t>(call);
  if (call.step_bytes == 0) return;
  char *arranged = (char *)call.arranged;
  for (int64_t time = 0; time < call.batch.n_times; time++)
    for (int64_t row = 0; row < call.batch.active[time]; row++, arranged += call.step_bytes)
      memcpy(arranged, (const char *)call.steps + (call.offsets[row] + time) * call.step_bytes, call.step_bytes);
}

// The time that the step at `position` belongs to.
static int64_t time_of(const Batch &batch, int64_t position) {
  int64_t first = 0, last = batch.n_times;
  while (last - first > 1) {
    const int64_t middle = (first + last) / 2;
    (batch.starts[middle] <= position ? first : last) = middle;
  }
  return first;
}

// A part of the work is a range of positions.
void embed(const Embedding &call) {
  const int64_t n_steps = call.batch.n_times ? call.batch.starts[call.batch.n_times] : 0;
  in_parallel(call.n_threads, n_steps ? 2 * call.n_threads : 0, (void *)&call, [](void *pointer, int64_t part, int64_t n_parts) {
    const Embedding &call = *(const Embedding *)pointer;
    const int64_t n_steps = call.batch.starts[call.batch.n_times], dim = call.dim, width = dim + call.n_channels;
    const int64_t first = n_steps * part / n_parts, last = n_steps * (part + 1) / n_parts;
    int64_t time = time_of(call.batch, first);
    for (int64_t position = first; position < last; position++) {
      while (position >= call.batch.starts[time + 1]) time++;
      const float *mask = call.mask ? call.mask + (position - call.batch.starts[time]) * dim : nullptr;
      float *vector = call.vectors + position * width;
      times_mask<false>(vector, call.table + call.ids[position] * dim, mask, dim);
      for (int64_t k = 0; k < call.n_channels; k++) vector[dim + k] = call.channels[position * call.n_channels + k];
    }
  });
}

// How many rows there are; -1 if an id is none of the table.
int64_t embedding_rows(const EmbeddingRows &call) {
  memset(call.places, 0, call.n_ids * sizeof(int32_t));
  for (int64_t step = 0; step < call.n_steps; step++) {
    const int64_t id = call.ids[step];
    if (id < 0 || id >= call.n_ids) return -1;
    call.places[id] = 1;
  }
  int64_t n = 0;
  for (int64_t id = 0; id < call.n_ids; id++) {  // No branches, which nobody could guess.
    const int32_t occurs = call.places[id];
    call.rows[n] = id;
    call.places[id] = (int32_t)n;
    n += occurs;
  }
  return n;
}

// A part of the work is a range of columns, a cache line wide or more: each sum runs over the steps in their order, whatever
// the number of threads.
void embed_backward(const EmbeddingBackward &call) {
  const int64_t lines = (call.dim + 15) / 16;
  in_parallel(call.n_threads, call.n_threads > 1 ? lines : 1, (void *)&call, [](void *pointer, int64_t part, int64_t n_parts) {
    const EmbeddingBackward &call = *(const EmbeddingBackward *)pointer;
    const int64_t dim = call.dim, lines = (dim + 15) / 16;
    const int64_t first = lines * part / n_parts * 16, end = lines * (part + 1) / n_parts * 16;
    const int64_t n = (end < dim ? end : dim) - first;
    if (n == dim && call.n_rows > 0)
      memset(call.grad_table, 0, call.n_rows * dim * sizeof(float));
    else
      for (int64_t row = 0; row < call.n_rows; row++) memset(call.grad_table + row * dim + first, 0, n * sizeof(float));
    for (int64_t time = 0; time < call.batch.n_times; time++)
      for (int64_t row = 0; row < call.batch.active[time]; row++) {
        const int64_t position = call.batch.starts[time] + row, id = call.ids[position];
        times_mask<true>(call.grad_table + (call.places ? call.places[id] : id) * dim + first,
                         call.grad_vectors + position * call.grad_stride + first,
                         call.mask ? call.mask + row * dim + first : nullptr, n);
      }
  });
}

}  // namespace ISA
}  // namespace seqclf
