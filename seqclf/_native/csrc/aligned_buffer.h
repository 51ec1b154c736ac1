// Zeroed memory for the duration of a call, aligned to a cache line, so that no vector crosses two lines.
#pragma once
#include <stdint.h>
#include <stdlib.h>

#include "memory.h"

namespace seqclf {
namespace ISA {

// Not std::vector: its functions are inline, so the linker keeps one copy for all files, possibly the one that was compiled for
// an instruction set that this processor lacks.
template <typename T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) { allocate(size); }
  ~Buffer() { free(memory_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  void allocate(int64_t size) {
    free(memory_);
    memory_ = nullptr;  // in case the allocation throws
    memory_ = zeroed_memory(size * (int64_t)sizeof(T) + (int64_t)line);
    data_ = (T *)(((uintptr_t)memory_ + line - 1) / line * line);
  }
  T *data() const { return data_; }
  T &operator[](int64_t i) const { return data_[i]; }

 private:
  static const uintptr_t line = 64;
  void *memory_ = nullptr;
  T *data_ = nullptr;
};

}  // namespace ISA
}  // namespace seqclf
