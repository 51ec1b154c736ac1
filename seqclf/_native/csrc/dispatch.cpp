// The entry points of the library. It chooses the kernels for this processor.
#include <string.h>

#include <atomic>

#include "abi.h"
#include "targets.h"

#if SEQCLF_HAS_AVX2
#include <cpuid.h>
#endif

namespace seqclf {

struct Kernels {
  const char *name;
  bool (*describe_cell)(const DescribeCell &);
  bool (*activate)(const Activate &);
  void (*gather)(const Gather &);
  bool (*look_up)(const TableLookUp &);
  void (*embed_backward)(const EmbeddingBackward &);
  void (*project)(const Projection &);
  void (*forward)(const Forward &);
  void (*backward)(const Backward &);
  void (*pool)(const Pooling &);
  void (*pool_backward)(const PoolingBackward &);
  void (*attend_backward)(const AttentionBackward &);
  void (*linear)(const Linear &);
  void (*fit_linear_models)(const LinearModels &);
  void (*convolve)(const Convolutions &);
  int64_t (*unique_ids)(const UniqueIds &);
  bool (*optimize)(const Step &);
  void (*sync_lazy_rows)(const SyncLazyRows &);
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

#define SEQCLF_KERNELS(ISA, supported)                                                               \
  {                                                                                                  \
    #ISA, ISA::describe_cell, ISA::activate, ISA::gather, ISA::look_up, ISA::embed_backward, ISA::project, \
        ISA::forward, ISA::backward, ISA::pool, ISA::pool_backward, ISA::attend_backward,            \
        ISA::linear, ISA::fit_linear_models, ISA::convolve, ISA::unique_ids, ISA::optimize,          \
        ISA::sync_lazy_rows,                                                                         \
        supported                                                                                    \
  }

// The best first.
static const Kernels all_kernels[] = {
#if SEQCLF_HAS_AVX512
    SEQCLF_KERNELS(avx512, has_avx512),
#endif
#if SEQCLF_HAS_AVX2
    SEQCLF_KERNELS(avx2, has_avx2),
#endif
    SEQCLF_KERNELS(baseline, always),
};

static const Kernels *best() {
  for (const Kernels &kernels : all_kernels)
    if (kernels.supported()) return &kernels;
  return nullptr;
}

static std::atomic<const Kernels *> chosen{best()};

}  // namespace seqclf

using namespace seqclf;

// The name of the instruction set in use; "baseline" is what every processor of this kind has.
SEQCLF_EXPORT const char *seqclf_instructions() { return chosen.load()->name; }

// Use the kernels of that name; 0 if this library or this processor does not have them.
SEQCLF_EXPORT int seqclf_use_instructions(const char *name) {
  for (const Kernels &kernels : all_kernels)
    if (!strcmp(kernels.name, name) && kernels.supported()) {
      chosen = &kernels;
      return 1;
    }
  return 0;
}

// 0 if there is no cell with that code.
SEQCLF_EXPORT int seqclf_describe_cell(const DescribeCell *call) { return chosen.load()->describe_cell(*call); }

// 0 if there is no activation with that code.
SEQCLF_EXPORT int seqclf_activate(const Activate *call) { return chosen.load()->activate(*call); }

SEQCLF_EXPORT void seqclf_gather(const Gather *call) { chosen.load()->gather(*call); }

// 0 if a version or an entry is out of range; the result is then undefined.
SEQCLF_EXPORT int seqclf_look_up(const TableLookUp *call) { return chosen.load()->look_up(*call); }

SEQCLF_EXPORT void seqclf_embed_backward(const EmbeddingBackward *call) { chosen.load()->embed_backward(*call); }
SEQCLF_EXPORT void seqclf_project(const Projection *call) { chosen.load()->project(*call); }
SEQCLF_EXPORT void seqclf_forward(const Forward *call) { chosen.load()->forward(*call); }
SEQCLF_EXPORT void seqclf_backward(const Backward *call) { chosen.load()->backward(*call); }
SEQCLF_EXPORT void seqclf_pool(const Pooling *call) { chosen.load()->pool(*call); }
SEQCLF_EXPORT void seqclf_pool_backward(const PoolingBackward *call) { chosen.load()->pool_backward(*call); }
SEQCLF_EXPORT void seqclf_attend_backward(const AttentionBackward *call) { chosen.load()->attend_backward(*call); }
SEQCLF_EXPORT void seqclf_linear(const Linear *call) { chosen.load()->linear(*call); }
SEQCLF_EXPORT void seqclf_fit_linear_models(const LinearModels *call) { chosen.load()->fit_linear_models(*call); }
SEQCLF_EXPORT void seqclf_convolve(const Convolutions *call) { chosen.load()->convolve(*call); }

// The number of ids that were written, or -1 if an id is out of range.
SEQCLF_EXPORT int64_t seqclf_unique_ids(const UniqueIds *call) { return chosen.load()->unique_ids(*call); }

// 0, and nothing done, if the rows of a gradient do not rise or are not rows of the parameter.
SEQCLF_EXPORT int seqclf_optimize(const Step *call) { return chosen.load()->optimize(*call); }
SEQCLF_EXPORT void seqclf_sync_lazy_rows(const SyncLazyRows *call) { chosen.load()->sync_lazy_rows(*call); }
