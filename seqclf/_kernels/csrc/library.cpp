// The library's entrance: chooses the kernels for this processor, and shares out the work among threads.
#include <string.h>

#include <atomic>
#include <thread>
#include <vector>

#include "interface.h"
#include "kernels.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define SEQCLF_X86 1
#endif

namespace seqclf {

// Denormal numbers, which vanishing gradients are full of, cost a hundred cycles each: flush them to zero meanwhile.
class FlushDenormals {
 public:
#if SEQCLF_X86
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
  FlushDenormals() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(before_));
    __asm__ volatile("msr fpcr, %0" : : "r"(before_ | (1ull << 24)));
  }
  ~FlushDenormals() { __asm__ volatile("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_;
#endif
};

// torch's own thread pool, where it is GNU OpenMP's: GOMP_parallel(function, data, n_threads, flags). A second pool beside
// it would fight it for the cores, because its threads spin for a while after each of torch's operations.
typedef void (*GompParallel)(void (*)(void *), void *, unsigned, unsigned);
static std::atomic<GompParallel> gomp_parallel{nullptr};

struct Job {
  Work work;
  void *context;
  int64_t n_parts;
  std::atomic<int64_t> next;
};

static void run_job(void *pointer) {
  Job &job = *static_cast<Job *>(pointer);
  FlushDenormals flush;
  for (int64_t part; (part = job.next.fetch_add(1)) < job.n_parts;) job.work(job.context, part, job.n_parts);
}

void in_parallel(int64_t n_parts, void *context, Work work) {
  Job job{work, context, n_parts, {0}};
  if (n_parts <= 1) return run_job(&job);
  if (GompParallel parallel = gomp_parallel.load()) return parallel(run_job, &job, (unsigned)n_parts, 0);
  std::vector<std::thread> helpers;
  for (int64_t i = 1; i < n_parts; i++) helpers.emplace_back(run_job, &job);
  run_job(&job);
  for (std::thread &helper : helpers) helper.join();
}

struct Kernels {
  const char *name;
  void (*forward)(const Forward &);
  void (*backward)(const Backward &);
  void (*pool)(const Pooling &);
  void (*pool_backward)(const PoolingBackward &);
  void (*linear)(const Linear &);
  bool (*supported)();
};

static bool always() { return true; }
#if SEQCLF_HAS_AVX2
static bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#if SEQCLF_HAS_AVX512
static bool has_avx512() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

#define SEQCLF_KERNELS(ISA, supported) \
  { #ISA, ISA::forward, ISA::backward, ISA::pool, ISA::pool_backward, ISA::linear, supported }

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

// Run on the pool behind this GOMP_parallel (null: on threads made for each call).
SEQCLF_EXPORT void seqclf_use_gomp(void *parallel) { gomp_parallel = (GompParallel)parallel; }

SEQCLF_EXPORT void seqclf_forward(const Forward *call) { chosen.load()->forward(*call); }
SEQCLF_EXPORT void seqclf_backward(const Backward *call) { chosen.load()->backward(*call); }
SEQCLF_EXPORT void seqclf_pool(const Pooling *call) { chosen.load()->pool(*call); }
SEQCLF_EXPORT void seqclf_pool_backward(const PoolingBackward *call) { chosen.load()->pool_backward(*call); }
SEQCLF_EXPORT void seqclf_linear(const Linear *call) { chosen.load()->linear(*call); }
