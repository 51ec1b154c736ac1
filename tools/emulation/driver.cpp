// Calls the library of another processor or system in the place of Python, which sends calls through a pipe (emulation.py).
// It knows nothing of the library's interface: a call is the name of a function, a structure as ctypes laid it out, the memory
// that the structure's pointers point into, and the offsets of those pointers in it.
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

// A copy of one piece of the other side's memory, that lies as far from a multiple of 64 as it does there, between two
// fences that nobody may write on.
class Piece {
 public:
  explicit Piece(uint64_t size, uint64_t misalignment) : size_(size), memory_(size + 4 * fence, 0xA5) {
    const uintptr_t start = (uintptr_t)memory_.data() + fence;
    data_ = (unsigned char *)((start + 63) / 64 * 64 + misalignment);
    read(data_, size_);
  }
  unsigned char *data() const { return data_; }
  uint64_t size() const { return size_; }
  bool fences_stand() const {
    for (uint64_t i = 0; i < fence; i++)
      if (data_[-1 - (int64_t)i] != 0xA5 || data_[size_ + i] != 0xA5) return false;
    return true;
  }

 private:
  static constexpr uint64_t fence = 64;
  uint64_t size_;
  std::vector<unsigned char> memory_;
  unsigned char *data_;
};

static void call_with_structure(void *function, const std::string &name) {
  std::string structure = read_text();
  std::vector<std::unique_ptr<Piece>> pieces(read<uint32_t>());
  for (auto &piece : pieces) {
    const uint64_t size = read<uint64_t>(), misalignment = read<uint64_t>();
    piece.reset(new Piece(size, misalignment));
  }
  for (uint32_t n_pointers = read<uint32_t>(); n_pointers; n_pointers--) {
    const uint32_t field = read<uint32_t>(), piece = read<uint32_t>();
    const void *pointer = pieces.at(piece)->data() + read<uint64_t>();
    if (field + sizeof pointer > structure.size()) stop("a pointer stands outside its structure", name);
    memcpy(&structure[field], &pointer, sizeof pointer);
  }
  // A structure of eight-byte fields stands at a multiple of eight.
  std::vector<uint64_t> aligned(structure.size() / 8 + 1);
  memcpy(aligned.data(), structure.data(), structure.size());
  const int64_t result = ((int64_t (*)(void *))function)(aligned.data());
  for (auto &piece : pieces) {
    if (!piece->fences_stand()) stop("wrote outside the memory that it was given", name);
    write(piece->data(), piece->size());
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
    if (!function) stop("the library has no", name);
    if (kind == 'g') {  // gives a text
      write_text(((const char *(*)())function)());
    } else if (kind == 't') {  // takes a text, gives a number
      const int32_t given = ((int (*)(const char *))function)(read_text().c_str());
      write(&given, sizeof given);
    } else if (kind == 's') {  // takes a structure
      call_with_structure(function, name);
    } else {
      stop("no such kind of call", std::string(1, (char)kind));
    }
    fflush(stdout);
  }
  return 0;
}
