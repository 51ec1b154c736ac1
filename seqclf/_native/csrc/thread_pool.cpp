// The thread pool. It replaces OpenMP, whose barrier waits for every thread of a team: on a busy machine one of them is often
// waiting for a core. Here a call is finished when its partitions are done. The calling thread and the workers take one
// partition after another; if no worker starts in time, the calling thread does them all.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "targets.h"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define SEQCLF_X86 1
#endif
#ifndef _WIN32
#include <pthread.h>
#include <signal.h>
#endif

namespace seqclf {

// Flushes denormal numbers to zero while it exists: they are frequent in vanishing gradients and cost a hundred cycles each.
// Bit 15 of MXCSR flushes results and bit 6 inputs; bit 24 of ARM's FPCR does both.
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

// A call. It is on the stack of the calling thread, which does not return before all partitions are done. A worker uses it only
// while it runs one of its partitions, and a finished call is no longer in the list of open jobs, so a worker that starts late
// cannot reach it.
struct Job {
  Work work;
  void *context;
  int64_t n_partitions, n_started, n_done;
  int64_t n_helpers, max_helpers;  // workers that are running a partition, and their maximum number
  bool failed;                     // a partition ran out of memory: those not started yet are skipped
  std::condition_variable done;
  Job *next;  // in the list of open jobs
};

// The lock protects all fields, including those of the jobs. It is not held while a partition runs.
class ThreadPool {
 public:
  void run(Job &job) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!closing_) {
      job.next = open_;
      open_ = &job;
      const int64_t n = job.max_helpers < job.n_partitions - 1 ? job.max_helpers : job.n_partitions - 1;
      create_workers(n);
      for (int64_t i = 0; i < n; i++) work_available_.notify_one();
    }
    while (job.n_started < job.n_partitions) run_partition(job, lock);
    while (job.n_done < job.n_partitions) job.done.wait(lock);
    if (job.failed) throw std::bad_alloc();
  }

  // Ends the workers. Later calls run on the calling threads only.
  void close() {
    std::vector<std::thread> workers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closing_ = true;
      workers.swap(workers_);
    }
    work_available_.notify_all();
    for (std::thread &worker : workers) worker.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable work_available_;
  std::vector<std::thread> workers_;
  Job *open_ = nullptr;  // jobs with partitions that are not started, newest first
  bool closing_ = false;

  void run_partition(Job &job, std::unique_lock<std::mutex> &lock) {
    const int64_t partition = job.n_started++;
    if (job.n_started == job.n_partitions) {
      Job **link = &open_;
      while (*link && *link != &job) link = &(*link)->next;
      if (*link) *link = job.next;
    }
    bool failed = job.failed;
    lock.unlock();
    // An exception must not leave the function of a worker. The calling thread throws instead.
    try {
      if (!failed) job.work(job.context, partition, job.n_partitions);
    } catch (const std::bad_alloc &) {
      failed = true;
    }
    lock.lock();
    job.failed = job.failed || failed;
    job.n_done++;
  }

  void work() {
#ifdef __linux__
    pthread_setname_np(pthread_self(), "seqclf");
#endif
    FlushDenormals flush;
    std::unique_lock<std::mutex> lock(mutex_);
    while (!closing_) {
      Job *job = open_;
      while (job && job->n_helpers == job->max_helpers) job = job->next;
      if (!job) {
        work_available_.wait(lock);
        continue;
      }
      job->n_helpers++;
      run_partition(*job, lock);
      job->n_helpers--;
      if (job->n_done == job->n_partitions) job->done.notify_one();
    }
  }

  // Makes sure that there are n workers, or as many as the system allows.
  void create_workers(int64_t n) {
    if ((int64_t)workers_.size() >= n) return;
#ifndef _WIN32
    // Python's threads handle the signals.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    try {
      while ((int64_t)workers_.size() < n) workers_.emplace_back(&ThreadPool::work, this);
    } catch (const std::system_error &) {  // the system allows no more threads: the calling thread computes what is left
    } catch (const std::bad_alloc &) {
    }
#ifndef _WIN32
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  }
};

// Never deleted: other threads can be in its functions when the process ends.
static std::atomic<ThreadPool *> the_pool{nullptr};

// The pool, created at the first call; null if there is no memory for it.
static ThreadPool *shared_pool() {
  ThreadPool *existing = the_pool.load();
  if (existing) return existing;
  ThreadPool *created = new (std::nothrow) ThreadPool;
  if (!created || the_pool.compare_exchange_strong(existing, created)) return created;
  delete created;
  return existing;
}

#ifndef _WIN32
static struct Lifetime {
  // A forked child does not have the workers, and its copy of the lock may be held by a thread that it does not have either. It
  // creates a new pool.
  Lifetime() {
    pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr); });
  }
  // No thread may be in the code of the library when it is unloaded or the process ends. (Windows ends the other threads of a
  // process before this runs.)
  ~Lifetime() {
    if (ThreadPool *existing = the_pool.load()) existing->close();
  }
} lifetime;
#endif

void in_parallel(int64_t n_threads, int64_t n_partitions, void *context, Work work) {
  FlushDenormals flush;
  ThreadPool *const shared = n_threads <= 1 || n_partitions <= 1 ? nullptr : shared_pool();
  if (!shared) {
    for (int64_t partition = 0; partition < n_partitions; partition++) work(context, partition, n_partitions);
    return;
  }
  Job job;
  job.work = work;
  job.context = context;
  job.n_partitions = n_partitions;
  job.n_started = job.n_done = job.n_helpers = 0;
  job.max_helpers = n_threads - 1;
  job.failed = false;
  job.next = nullptr;
  shared->run(job);
}

}  // namespace seqclf
