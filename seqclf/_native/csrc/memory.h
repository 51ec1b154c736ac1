// Memory for the duration of a call. If there is none, an exception ends the call, and the entry point returns OUT_OF_MEMORY.
#pragma once
#include <stdint.h>

namespace seqclf {

// Zeroed memory, which the caller frees. Throws std::bad_alloc if there is none. Compiled once: otherwise each instruction set
// would have its copy of the inline functions of std::bad_alloc, and the linker would keep an arbitrary one.
void *zeroed_memory(int64_t n_bytes);

}  // namespace seqclf
