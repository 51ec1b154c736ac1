// The entry points of the library. It chooses the kernels for this processor.
#include <string.h>

#include <atomic>
#include <new>
#include <type_traits>

#include "abi.h"
#include "entry_points.h"
#include "invariants.h"
#include "targets.h"

#if SEQCLF_HAS_AVX2
#include <cpuid.h>
#endif

namespace seqclf {

struct Kernels {
  const char *instructions;
#define SEQCLF_POINTER(result, name, Call) result (*name)(const Call &);
  SEQCLF_ENTRY_POINTS(SEQCLF_POINTER)
#undef SEQCLF_POINTER
  bool (*supported)();
};

static bool always() { return true; }
#if SEQCLF_HAS_AVX2
// What the processor has and the system keeps when it changes threads. Asked without __builtin_cpu_supports, which needs a
// library of the compiler's that nobody links on Windows.
static bool has(unsigned leaf_1_ecx, unsigned leaf_7_ebx, unsigned kept) {
  unsigned eax, ebx, ecx, edx;
  const unsigned osxsave = 1u << 27;
  leaf_1_ecx |= osxsave;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf_1_ecx) != leaf_1_ecx) return false;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (ebx & leaf_7_ebx) != leaf_7_ebx) return false;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & kept) == kept;
}

enum Leaf1Ecx : unsigned { FMA = 1u << 12, AVX = 1u << 28 };
enum Leaf7Ebx : unsigned { AVX2 = 1u << 5, AVX512F = 1u << 16, AVX512DQ = 1u << 17, AVX512BW = 1u << 30, AVX512VL = 1u << 31 };
// Bits of the register XCR0: which registers the system keeps. SSE's and AVX's are bits 1 and 2, those of AVX-512 bits 5 to 7.
static const unsigned kept_ymm = 0x06;
static bool has_avx2() { return has(FMA | AVX, AVX2, kept_ymm); }
#endif
#if SEQCLF_HAS_AVX512
#ifdef __APPLE__
static const unsigned kept_zmm = kept_ymm;  // macOS begins to keep the rest at its first use
#else
static const unsigned kept_zmm = 0xe6;
#endif
static bool has_avx512() { return has(FMA | AVX, AVX2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL, kept_zmm); }
#endif

#define SEQCLF_ADDRESS(result, name, Call) name,
#define SEQCLF_KERNELS(ISA, supported)                                               \
  namespace ISA {                                                                    \
  static const Kernels kernels{#ISA, SEQCLF_ENTRY_POINTS(SEQCLF_ADDRESS) supported}; \
  }
SEQCLF_KERNELS(baseline, always)
#if SEQCLF_HAS_AVX2
SEQCLF_KERNELS(avx2, has_avx2)
#endif
#if SEQCLF_HAS_AVX512
SEQCLF_KERNELS(avx512, has_avx512)
#endif
#undef SEQCLF_KERNELS
#undef SEQCLF_ADDRESS

// The best first.
static const Kernels *const all_kernels[] = {
#if SEQCLF_HAS_AVX512
    &avx512::kernels,
#endif
#if SEQCLF_HAS_AVX2
    &avx2::kernels,
#endif
    &baseline::kernels,
};

static const Kernels *best() {
  for (const Kernels *kernels : all_kernels)
    if (kernels->supported()) return kernels;
  return nullptr;
}

static std::atomic<const Kernels *> chosen{best()};

// No exception leaves the library: behind an entry point there is no C++ that could catch it.
template <class Call, class Result> static int64_t result_of(Result (*kernel)(const Call &), const Call &call) noexcept {
  try {
    if constexpr (std::is_void_v<Result>)
      return kernel(call), 0;
    else
      return kernel(call);
  } catch (const std::bad_alloc &) {
    return OUT_OF_MEMORY;
  }
}

}  // namespace seqclf

using namespace seqclf;

// The number of the interface, see abi.h. The first function that Python calls.
SEQCLF_EXPORT int64_t seqclf_interface() { return INTERFACE; }

// The name of the instruction set in use; "baseline" is what every processor of this kind has.
SEQCLF_EXPORT const char *seqclf_instructions() { return chosen.load()->instructions; }

// Use the kernels of that name; 0 if this library or this processor does not have them.
SEQCLF_EXPORT int seqclf_use_instructions(const char *name) {
  for (const Kernels *kernels : all_kernels)
    if (!strcmp(kernels->instructions, name) && kernels->supported()) {
      chosen = kernels;
      return 1;
    }
  return 0;
}

#if SEQCLF_CHECK_CALLS
// There only in a build that checks its calls.
SEQCLF_EXPORT int seqclf_checks_calls() { return 1; }
#endif

#define SEQCLF_ENTRY_POINT(result, name, Call)            \
  SEQCLF_EXPORT int64_t seqclf_##name(const Call *call) { \
    check(*call);                                         \
    return result_of(chosen.load()->name, *call);         \
  }
SEQCLF_ENTRY_POINTS(SEQCLF_ENTRY_POINT)
