// The way into the first layer: steps into the order of the batch, and the gradient of their ids' vectors back into the
// table. Compiled like forward.cpp.
#include <string.h>

#include "kernels.h"
#include "reading.h"

namespace seqclf {
namespace ISA {

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
                         call.grad_vectors + position * dim + first,
                         call.mask ? call.mask + row * dim + first : nullptr, n);
      }
  });
}

}  // namespace ISA
}  // namespace seqclf
