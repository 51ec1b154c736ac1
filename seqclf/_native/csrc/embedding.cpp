// The gradient of an embedding matrix, and the distinct ids of a batch. Compiled like recurrence/forward.cpp.
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
  for (int64_t id = 0; id < call.n_ids; id++) {  // No branch on whether an id occurs, because it is unpredictable.
    const int32_t occurs = call.inverse[id];
    call.ids[n] = id;
    call.inverse[id] = (int32_t)n;
    n += occurs;
  }
  return n;
}

// A partition is a range of columns, at least a cache line wide. Each sum runs over the steps in order, so the number of
// threads does not change the result.
void embed_backward(const EmbeddingBackward &call) {
  const int64_t dim = call.dim, lines = (dim + 15) / 16, n_partitions = call.n_threads > 1 ? lines : 1;
  parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
    const int64_t first = lines * partition / n_partitions * 16, end = lines * (partition + 1) / n_partitions * 16;
    const int64_t n = (end < dim ? end : dim) - first;
    if (n == dim && call.n_vectors > 0)
      memset(call.grad_embedding, 0, call.n_vectors * dim * sizeof(float));
    else
      for (int64_t i = 0; i < call.n_vectors; i++) memset(call.grad_embedding + i * dim + first, 0, n * sizeof(float));
    for_each_step(call.batch, RowRange(call.batch), [&](int64_t, int64_t row, int64_t position) {
      const int64_t id = call.ids[position];
      apply_mask<true>(call.grad_embedding + (call.inverse ? call.inverse[id] : id) * dim + first,
                       call.grad_vectors + position * dim + first, call.mask ? call.mask + row * dim + first : nullptr, n);
    });
  });
}

}  // namespace ISA
}  // namespace seqclf
