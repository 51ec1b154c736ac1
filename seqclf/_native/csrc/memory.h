// Memory for the length of a call. A call that gets none ends with an exception, which the entry point turns into a result.
#pragma once
#include <stdint.h>

namespace seqclf {

// Zeroed memory, which the caller frees. Compiled once, so that no file compiled for another processor has code of
// std::bad_alloc, of which the linker would keep any copy.
//
// Throws
//   std::bad_alloc: there is none
void *zeroed_memory(int64_t n_bytes);

}  // namespace seqclf
