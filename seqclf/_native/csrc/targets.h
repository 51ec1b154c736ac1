// The thread pool, and the kernels that are compiled once for each kind of processor (target).
#pragma once
#include <stdint.h>

#include "abi.h"

namespace seqclf {

typedef void (*Work)(void *context, int64_t part, int64_t n_parts);

// Call work(context, part, n_parts) for part = 0 .. n_parts - 1, each once, on up to n_threads threads with denormal numbers
// flushed to zero; returns when all are done. The floating-point state of the calling thread is put back.
void in_parallel(int64_t n_threads, int64_t n_parts, void *context, Work work);

#define SEQCLF_DECLARE(ISA)                        \
  namespace ISA {                                  \
  bool describe_cell(const DescribeCell &);        \
  bool activate(const Activate &);                 \
  void gather(const Gather &);                     \
  bool look_up(const TableLookUp &);               \
  void embed_backward(const EmbeddingBackward &);  \
  void project(const Projection &);                \
  void forward(const Forward &);                   \
  void backward(const Backward &);                 \
  void pool(const Pooling &);                      \
  void pool_backward(const PoolingBackward &);     \
  void attend_backward(const AttentionBackward &); \
  void linear(const Linear &);                     \
  void fit_linear_models(const LinearModels &);    \
  void convolve(const Convolutions &);             \
  int64_t unique_ids(const UniqueIds &);           \
  bool optimize(const Step &);                     \
  void sync_lazy_rows(const SyncLazyRows &);       \
  }
SEQCLF_DECLARE(baseline)
SEQCLF_DECLARE(avx2)
SEQCLF_DECLARE(avx512)
#undef SEQCLF_DECLARE

}  // namespace seqclf
