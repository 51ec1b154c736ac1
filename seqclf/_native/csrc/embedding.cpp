// The gradient of a table of vectors, and which of its rows a batch reads. Compiled like recurrence/forward.cpp.
#include <string.h>

#include "abi.h"
#include "parallel.h"
#include "recurrence/partition.h"
#include "recurrence/step_inputs.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// The number of distinct ids, or -1 if an id is out of range.
int64_t unique_ids(const UniqueIds &call) {
  memset(call.inverse, 0, call.n_ids * sizeof(int32_t));
  for (int64_t step = 0; step < call.n_steps; step++) {
    const int64_t id = call.step_ids[step];
    if (id < 0 || id >= call.n_ids) return -1;
    call.inverse[id] = 1;
  }
  int64_t n = 0;
  for (int64_t id = 0; id < call.n_ids; id++) {  // Branch-free: whether an id occurs is unpredictable.
    const int32_t occurs = call.inverse[id];
    call.ids[n] = id;
    call.inverse[id] = (int32_t)n;
    n += occurs;
  }
  return n;
}

// A part of the work is a range of columns, at least a cache line wide. Each sum runs over the steps in their order, so the
// number of threads does not change a bit of it.
void embed_backward(const EmbeddingBackward &call) {
  const int64_t dim = call.dim, lines = (dim + 15) / 16, n_parts = call.n_threads > 1 ? lines : 1;
  parallel_for(call.n_threads, n_parts, [&](int64_t part) {
    const int64_t first = lines * part / n_parts * 16, end = lines * (part + 1) / n_parts * 16;
    const int64_t n = (end < dim ? end : dim) - first;
    if (n == dim && call.n_vectors > 0)
      memset(call.grad_table, 0, call.n_vectors * dim * sizeof(float));
    else
      for (int64_t row = 0; row < call.n_vectors; row++) memset(call.grad_table + row * dim + first, 0, n * sizeof(float));
    for_each_step(call.batch, Rows(call.batch), [&](int64_t, int64_t row, int64_t position) {
      const int64_t id = call.ids[position];
      times_mask<true>(call.grad_table + (call.inverse ? call.inverse[id] : id) * dim + first,
                       call.grad_vectors + position * dim + first, call.mask ? call.mask + row * dim + first : nullptr, n);
    });
  });
}

}  // namespace ISA
}  // namespace seqclf
