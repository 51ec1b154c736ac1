// Runs a function for each partition, on several threads.
#pragma once
#include "targets.h"

namespace seqclf {
namespace ISA {

// Calls body(partition) for each partition from 0 to n_partitions - 1, as in_parallel does, and returns when all are done.
template <class Body> static inline void parallel_for(int64_t n_threads, int64_t n_partitions, const Body &body) {
  in_parallel(n_threads, n_partitions, (void *)&body,
              [](void *context, int64_t partition, int64_t) { (*(const Body *)context)(partition); });
}

}  // namespace ISA
}  // namespace seqclf
