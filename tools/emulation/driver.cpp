// Calls the library of another processor or system for Python, which sends the calls through a pipe (emulation.py). It does not
// depend on the interface of the library: a call consists of the name of a function, a structure in the layout of ctypes, the
// memory that its pointers point to, and the offsets of the pointers.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memory>
#include <string>
#include <vector>

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <windows.h>
static void *open_library(const char *file) { return (void *)LoadLibraryA(file); }
static void *find(void *library, const char *name) { return (void *)GetProcAddress((HMODULE)library, name); }
#else
#include <dlfcn.h>
static void *open_library(const char *file) {
  void *library = dlopen(file, RTLD_NOW);
  if (!library) fprintf(stderr, "%s\n", dlerror());
  return library;
}
static void *find(void *library, const char *name) { return dlsym(library, name); }
#endif

static void stop(const char *why, const std::string &what) {
  fprintf(stderr, "driver: %s: %s\n", why, what.c_str());
  exit(3);
}

static void read(void *to, size_t size) {
  if (fread(to, 1, size, stdin) != size) stop("the request is too short", std::to_string(size));
}

template <typename T> static T read() {
  T value;
  read(&value, sizeof value);
  return value;
}

static std::string read_text() {
  std::string text(read<uint32_t>(), '\0');
  read(&text[0], text.size());
  return text;
}

static void write(const void *from, size_t size) {
  if (fwrite(from, 1, size, stdout) != size) stop("cannot answer", std::to_string(size));
}

static void write_text(const char *text) {
  const uint32_t size = strlen(text);
  write(&size, sizeof size);
  write(text, size);
}

// A copy of a block of Python's memory, with the same misalignment relative to 64 bytes. Guard bytes before and after it detect
// writes out of bounds.
class MemoryBlock {
 public:
  explicit MemoryBlock(uint64_t size, uint64_t misalignment) : size_(size), memory_(size + 4 * guard_size, 0xA5) {
    const uintptr_t start = (uintptr_t)memory_.data() + guard_size;
    data_ = (unsigned char *)((start + 63) / 64 * 64 + misalignment);
    read(data_, size_);
  }
  unsigned char *data() const { return data_; }
  uint64_t size() const { return size_; }
  bool is_intact() const {
    for (uint64_t i = 0; i < guard_size; i++)
      if (data_[-1 - (int64_t)i] != 0xA5 || data_[size_ + i] != 0xA5) return false;
    return true;
  }

 private:
  static constexpr uint64_t guard_size = 64;
  uint64_t size_;
  std::vector<unsigned char> memory_;
  unsigned char *data_;
};

static void call_with_structure(void *function, const std::string &name) {
  std::string structure = read_text();
  std::vector<std::unique_ptr<MemoryBlock>> blocks(read<uint32_t>());
  for (auto &block : blocks) {
    const uint64_t size = read<uint64_t>(), misalignment = read<uint64_t>();
    block.reset(new MemoryBlock(size, misalignment));
  }
  for (uint32_t n_pointers = read<uint32_t>(); n_pointers; n_pointers--) {
    const uint32_t field = read<uint32_t>(), block = read<uint32_t>();
    const void *pointer = blocks.at(block)->data() + read<uint64_t>();
    if (field + sizeof pointer > structure.size()) stop("a pointer is outside its structure", name);
    memcpy(&structure[field], &pointer, sizeof pointer);
  }
  // The structure has eight-byte fields, so it has to be aligned to eight bytes.
  std::vector<uint64_t> aligned(structure.size() / 8 + 1);
  memcpy(aligned.data(), structure.data(), structure.size());
  const int64_t result = ((int64_t (*)(void *))function)(aligned.data());
  for (auto &block : blocks) {
    if (!block->is_intact()) stop("wrote outside its memory", name);
    write(block->data(), block->size());
  }
  write(&result, sizeof result);
}

int main(int n_arguments, char **arguments) {
  if (n_arguments != 2) stop("usage", "driver LIBRARY");
#ifdef _WIN32
  _setmode(_fileno(stdin), _O_BINARY);
  _setmode(_fileno(stdout), _O_BINARY);
#endif
  void *library = open_library(arguments[1]);
  if (!library) stop("cannot load", arguments[1]);
  for (int kind; (kind = getchar()) != EOF;) {
    const std::string name = read_text();
    void *function = find(library, name.c_str());
    if (!function) stop("the library has no function", name);
    if (kind == 'g') {  // returns a string
      write_text(((const char *(*)())function)());
    } else if (kind == 't') {  // takes a string, returns an integer
      const int32_t result = ((int (*)(const char *))function)(read_text().c_str());
      write(&result, sizeof result);
    } else if (kind == 's') {  // takes a structure
      call_with_structure(function, name);
    } else {
      stop("unknown kind of call", std::string(1, (char)kind));
    }
    fflush(stdout);
  }
  return 0;
}
