// Zeroed memory for the length of a call.
#pragma once
#include <stdint.h>
#include <stdlib.h>

namespace seqclf {
namespace ISA {

// Not std::vector: the linker keeps one copy of its code for all files, and could keep the one that was compiled for
// another processor.
template <typename T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) { allocate(size); }
  ~Buffer() { free(data_); }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  void allocate(int64_t size) {
    free(data_);
    data_ = (T *)calloc(size > 0 ? size : 1, sizeof(T));
    if (!data_) abort();
  }
  T *data() const { return data_; }
  T &operator[](int64_t i) const { return data_[i]; }

 private:
  T *data_ = nullptr;
};

}  // namespace ISA
}  // namespace seqclf
