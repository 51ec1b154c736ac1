// Work on several threads, as a function of the part.
#pragma once
#include "targets.h"

namespace seqclf {
namespace ISA {

// Calls body(part) for part = 0 .. n_parts - 1, as in_parallel does, and returns when all are done.
template <class Body> static inline void parallel_for(int64_t n_threads, int64_t n_parts, const Body &body) {
  in_parallel(n_threads, n_parts, (void *)&body, [](void *context, int64_t part, int64_t) { (*(const Body *)context)(part); });
}

}  // namespace ISA
}  // namespace seqclf
