// The thread pool, and the kernels that are compiled once for each kind of processor (target).
#pragma once
#include <stdint.h>

#include "abi.h"
#include "entry_points.h"

namespace seqclf {

typedef void (*Work)(void *context, int64_t part, int64_t n_parts);

// Call work(context, part, n_parts) for part = 0 .. n_parts - 1, each once, on up to n_threads threads with denormal numbers
// flushed to zero; returns when all are done. The floating-point state of the calling thread is put back. If a part throws
// std::bad_alloc, so does this, when no part is running any more.
void in_parallel(int64_t n_threads, int64_t n_parts, void *context, Work work);

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
