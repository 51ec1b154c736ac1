// Divides the rows of a batch into partitions for the threads.
#pragma once
#include "abi.h"

namespace seqclf {
namespace ISA {

static inline int64_t n_steps(const Batch &batch) { return batch.max_length ? batch.time_offsets[batch.max_length] : 0; }

// The number of partitions: one per thread, or two per thread in a long call, so that a thread that is interrupted computes
// fewer of them. A call is long from half a million states on, which take a millisecond or more. Two partitions must not take
// longer than one: each has at least 8 rows, which fill its tiles, and the weights of at most 64 units, which each partition
// reads at each step, fit in the fast caches. The number depends only on the call, because sums are formed per partition.
static inline int64_t partition_count(int64_t n_threads, const Batch &batch, int64_t width) {
  const int64_t n_rows = batch.n_rows;
  const bool is_long = n_rows >= 16 * n_threads && width <= 64 && n_steps(batch) * width >= 500000;
  const int64_t n = n_threads <= 1 ? 1 : is_long ? 2 * n_threads : n_threads;
  return n < n_rows ? n : n_rows > 1 ? n_rows : 1;
}

// The rows of a partition, from `first` to below `last`. They are contiguous, to avoid false sharing of cache lines. Later rows
// are shorter, so later partitions have more rows: all have about the same number of steps.
struct RowRange {
  int64_t first, last;

  // All rows.
  explicit RowRange(const Batch &batch) : first(0), last(batch.n_rows) {}

  RowRange(const Batch &batch, int64_t partition, int64_t n_partitions) {
    const int64_t n = n_steps(batch);
    first = n_rows_with_steps(batch, n * partition / n_partitions);
    last = n_rows_with_steps(batch, n * (partition + 1) / n_partitions);
  }

  int64_t count() const { return last - first; }

  // The number of these rows that have a step when the first `n_running` rows of the batch have one.
  int64_t running(int64_t n_running) const { return n_running <= first ? 0 : (n_running < last ? n_running : last) - first; }

 private:
  // The number of first rows that have about `wanted` steps in total.
  static int64_t n_rows_with_steps(const Batch &batch, int64_t wanted) {
    int64_t row = 0, length = batch.max_length;
    for (; row < batch.n_rows; row++) {
      while (length > 0 && batch.batch_sizes[length - 1] <= row) length--;
      if (length > 2 * wanted) break;  // less than half of this row belongs to them
      wanted -= length;
    }
    return row;
  }
};

// Calls work(time, row, position) for each step of the rows, in memory order.
template <class Work> static inline void for_each_step(const Batch &batch, const RowRange &rows, const Work &work) {
  for (int64_t time = 0; time < batch.max_length; time++) {
    const int64_t end = rows.first + rows.running(batch.batch_sizes[time]);
    for (int64_t row = rows.first; row < end; row++) work(time, row, batch.time_offsets[time] + row);
  }
}

// The rows of a partition that have a given step.
struct RunningRows {
  int64_t time, previous_time;  // of the step, and of the previous step of this direction if there is one
  int64_t n, n_started;         // number of rows; the first n_started of them have a previous state

  // `step` counts the steps in the order of the direction.
  RunningRows(const Batch &batch, const RowRange &rows, bool reverse, int64_t step)
      : time(reverse ? batch.max_length - 1 - step : step), previous_time(reverse ? time + 1 : time - 1),
        n(rows.running(batch.batch_sizes[time])), n_started(step == 0 ? 0 : rows.running(batch.batch_sizes[previous_time])) {}
};

}  // namespace ISA
}  // namespace seqclf
