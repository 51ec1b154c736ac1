// The threads that share out a call's work. Not OpenMP's: its barrier waits for every thread of a team, and on a busy
// machine one of them is always waiting for a core. Here a call is over when its parts are done: threads take them one by
// one, the calling thread too, which does them all where no other comes in time.
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

// Denormal numbers, which vanishing gradients are full of, cost a hundred cycles each: flush them to zero meanwhile. Bit 15 of
// MXCSR does so with results and bit 6 with inputs; bit 24 of ARM's FPCR does both.
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

// A call. It lies on the stack of its calling thread, which stays until all parts are done; a worker knows it only while it
// does one of them, so one that wakes late finds nothing of it.
struct Job {
  Work work;
  void *context;
  int64_t n_parts, n_begun, n_done;
  int64_t n_helpers, most_helpers;  // workers that are doing a part; how many may
  bool failed;                      // a part got no memory: those that are not begun are left out
  std::condition_variable done;
  Job *next;  // of the pool's open ones
};

// Everything in it is read and written under its lock; parts are done outside it.
class Pool {
 public:
  void run(Job &job) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!closing_) {
      job.next = open_;
      open_ = &job;
      const int64_t n = job.most_helpers < job.n_parts - 1 ? job.most_helpers : job.n_parts - 1;
      make_workers(n);
      for (int64_t i = 0; i < n; i++) wake_.notify_one();
    }
    while (job.n_begun < job.n_parts) do_part(job, lock);
    while (job.n_done < job.n_parts) job.done.wait(lock);
    if (job.failed) throw std::bad_alloc();
  }

  // Ends the workers. Calls that come later are done by their own threads.
  void close() {
    std::vector<std::thread> workers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closing_ = true;
      workers.swap(workers_);
    }
    wake_.notify_all();
    for (std::thread &worker : workers) worker.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
  Job *open_ = nullptr;  // those with a part that nobody has begun, the newest first
  bool closing_ = false;

  void do_part(Job &job, std::unique_lock<std::mutex> &lock) {
    const int64_t part = job.n_begun++;
    if (job.n_begun == job.n_parts) {
      Job **link = &open_;
      while (*link && *link != &job) link = &(*link)->next;
      if (*link) *link = job.next;
    }
    bool failed = job.failed;
    lock.unlock();
    // Nothing may leave a worker's function. The thread that waits for the call throws instead.
    try {
      if (!failed) job.work(job.context, part, job.n_parts);
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
      while (job && job->n_helpers == job->most_helpers) job = job->next;
      if (!job) {
        wake_.wait(lock);
        continue;
      }
      job->n_helpers++;
      do_part(*job, lock);
      job->n_helpers--;
      if (job->n_done == job->n_parts) job->done.notify_one();
    }
  }

  // At least so many workers, or as many as the system gives.
  void make_workers(int64_t n) {
    if ((int64_t)workers_.size() >= n) return;
#ifndef _WIN32
    // Signals are for Python's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    try {
      while ((int64_t)workers_.size() < n) workers_.emplace_back(&Pool::work, this);
    } catch (const std::system_error &) {  // no more threads: the calling thread does the work
    } catch (const std::bad_alloc &) {
    }
#ifndef _WIN32
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
#endif
  }
};

// Never deleted: other threads may be inside when the process ends.
static std::atomic<Pool *> the_pool{nullptr};

// Null where there is no memory for it.
static Pool *pool() {
  Pool *there = the_pool.load();
  if (there) return there;
  Pool *made = new (std::nothrow) Pool;
  if (!made || the_pool.compare_exchange_strong(there, made)) return made;
  delete made;
  return there;
}

#ifndef _WIN32
static struct Lifetime {
  // A forked child has none of the workers, and the lock may be held by a thread that it doesn't have either: it begins anew.
  Lifetime() {
    pthread_atfork(nullptr, nullptr, [] { the_pool.store(nullptr); });
  }
  // Nobody may be left in the library's code when it is unloaded or the process ends. (On Windows the system has ended the
  // other threads of a process before it comes here.)
  ~Lifetime() {
    if (Pool *there = the_pool.load()) there->close();
  }
} lifetime;
#endif

void in_parallel(int64_t n_threads, int64_t n_parts, void *context, Work work) {
  FlushDenormals flush;
  Pool *const shared = n_threads <= 1 || n_parts <= 1 ? nullptr : pool();
  if (!shared) {
    for (int64_t part = 0; part < n_parts; part++) work(context, part, n_parts);
    return;
  }
  Job job;
  job.work = work;
  job.context = context;
  job.n_parts = n_parts;
  job.n_begun = job.n_done = job.n_helpers = 0;
  job.most_helpers = n_threads - 1;
  job.failed = false;
  job.next = nullptr;
  shared->run(job);
}

}  // namespace seqclf
