// Declares the thread pool, and the kernels of each instruction set (target).
#pragma once
#include <stdint.h>

#include "abi.h"
#include "entry_points.h"

namespace seqclf {

typedef void (*Work)(void *context, int64_t partition, int64_t n_partitions);

// Calls work(context, partition, n_partitions) once for each partition from 0 to n_partitions - 1, on up to n_threads threads,
// and returns when all are done. Denormal numbers are flushed to zero during the call; the floating-point state of the calling
// thread is restored. If a partition throws std::bad_alloc, this throws it too, once no partition is running.
void in_parallel(int64_t n_threads, int64_t n_partitions, void *context, Work work);

#define SEQCLF_FUNCTION(result, name, Call) result name(const Call &);
#define SEQCLF_DECLARE(ISA)            \
  namespace ISA {                      \
  SEQCLF_ENTRY_POINTS(SEQCLF_FUNCTION) \
  }
SEQCLF_DECLARE(baseline)
SEQCLF_DECLARE(avx2)
SEQCLF_DECLARE(avx512)
#undef SEQCLF_DECLARE
#undef SEQCLF_FUNCTION

}  // namespace seqclf
