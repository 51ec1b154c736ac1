// Allocates the memory of a call, and lets tests make an allocation fail.
#include "memory.h"

#include <stdlib.h>

#include <atomic>
#include <new>

#include "abi.h"

namespace seqclf {

static std::atomic<int64_t> until_failure{0};  // allocations until the one that fails; 0: none fails

void *zeroed_memory(int64_t n_bytes) {
  const bool fails = until_failure.load(std::memory_order_relaxed) > 0 && until_failure.fetch_sub(1) == 1;
  void *memory = fails ? nullptr : calloc((size_t)n_bytes, 1);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace seqclf

// For tests: makes only the nth allocation from now on fail; 0 disables this. Returns the previous countdown.
SEQCLF_EXPORT int64_t seqclf_fail_allocation(int64_t n) { return seqclf::until_failure.exchange(n); }
