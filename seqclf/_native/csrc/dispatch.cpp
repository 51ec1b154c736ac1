// The entry points of the library, which call the kernels for the best instruction set of this processor.
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
// Whether the processor has these features, and the system saves their registers on a context switch. This does not use
// __builtin_cpu_supports, which needs a compiler runtime library that is not linked on Windows.
static bool has_features(unsigned leaf_1_ecx, unsigned leaf_7_ebx, unsigned saved_registers) {
  unsigned eax, ebx, ecx, edx;
  const unsigned osxsave = 1u << 27;
  leaf_1_ecx |= osxsave;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & leaf_1_ecx) != leaf_1_ecx) return false;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (ebx & leaf_7_ebx) != leaf_7_ebx) return false;
  __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
  return (eax & saved_registers) == saved_registers;
}

enum Leaf1Ecx : unsigned { FMA = 1u << 12, AVX = 1u << 28 };
enum Leaf7Ebx : unsigned { AVX2 = 1u << 5, AVX512F = 1u << 16, AVX512DQ = 1u << 17, AVX512BW = 1u << 30, AVX512VL = 1u << 31 };
// Bits of XCR0: the registers that the system saves. Bits 1 and 2 are those of SSE and AVX, bits 5 to 7 those of AVX-512.
static const unsigned ymm_registers = 0x06;
static bool has_avx2() { return has_features(FMA | AVX, AVX2, ymm_registers); }
#endif
#if SEQCLF_HAS_AVX512
#ifdef __APPLE__
static const unsigned zmm_registers = ymm_registers;  // macOS enables the others at their first use
#else
static const unsigned zmm_registers = 0xe6;
#endif
static bool has_avx512() { return has_features(FMA | AVX, AVX2 | AVX512F | AVX512DQ | AVX512BW | AVX512VL, zmm_registers); }
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

// In order of preference.
static const Kernels *const all_kernels[] = {
#if SEQCLF_HAS_AVX512
    &avx512::kernels,
#endif
#if SEQCLF_HAS_AVX2
    &avx2::kernels,
#endif
    &baseline::kernels,
};

static const Kernels *best_kernels() {
  for (const Kernels *kernels : all_kernels)
    if (kernels->supported()) return kernels;
  return nullptr;
}

static std::atomic<const Kernels *> chosen{best_kernels()};

// No exception leaves the library: the callers of an entry point are not C++.
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

// The version of the interface, see abi.h. Python calls this function first.
SEQCLF_EXPORT int64_t seqclf_interface() { return INTERFACE; }

// The name of the instruction set in use; "baseline" is the common subset of all processors of this architecture.
SEQCLF_EXPORT const char *seqclf_instructions() { return chosen.load()->instructions; }

// Selects an instruction set by name. Returns 0 if this library or this processor does not have it, or else 1.
SEQCLF_EXPORT int seqclf_use_instructions(const char *name) {
  for (const Kernels *kernels : all_kernels)
    if (!strcmp(kernels->instructions, name) && kernels->supported()) {
      chosen = kernels;
      return 1;
    }
  return 0;
}

#if SEQCLF_CHECK_CALLS
// Exported only by a build that checks preconditions.
SEQCLF_EXPORT int seqclf_checks_calls() { return 1; }
#endif

#define SEQCLF_ENTRY_POINT(result, name, Call)            \
  SEQCLF_EXPORT int64_t seqclf_##name(const Call *call) { \
    check(*call);                                         \
    return result_of(chosen.load()->name, *call);         \
  }
SEQCLF_ENTRY_POINTS(SEQCLF_ENTRY_POINT)
