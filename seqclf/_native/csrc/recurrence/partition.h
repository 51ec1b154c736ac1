// How the rows of a batch are shared out among threads.
#pragma once
#include "abi.h"

namespace seqclf {
namespace ISA {

static inline int64_t n_steps(const Batch &batch) { return batch.max_length ? batch.time_offsets[batch.max_length] : 0; }

// Into how many parts: one for each thread. Two for each in a long call, so that a thread that other work interrupts does fewer
// of them; long is half a million states, which take a millisecond or more. But only where two parts cost as much as one: each
// has 8 rows or more, which fill its tiles, and the weights of 64 units or fewer, which each part reads at each step, stay in
// the caches next to the core. It depends on nothing else than the call, since sums are taken part by part.
static inline int64_t parts_of(int64_t n_threads, const Batch &batch, int64_t width) {
  const int64_t n_rows = batch.n_rows;
  const bool is_long = n_rows >= 16 * n_threads && width <= 64 && n_steps(batch) * width >= 500000;
  const int64_t n = n_threads <= 1 ? 1 : is_long ? 2 * n_threads : n_threads;
  return n < n_rows ? n : n_rows > 1 ? n_rows : 1;
}

// The rows of a part, from `first` to `last`: neighbours, because two processors that write beside one another slow each other
// down. As the rows get shorter a part has more of them, so that each has about as many steps.
struct Rows {
  int64_t first, last;

  // All of them.
  explicit Rows(const Batch &batch) : first(0), last(batch.n_rows) {}

  Rows(const Batch &batch, int64_t part, int64_t n_parts) {
    const int64_t n = n_steps(batch);
    first = with_steps(batch, n * part / n_parts);
    last = with_steps(batch, n * (part + 1) / n_parts);
  }

  int64_t count() const { return last - first; }

  // How many of them are still running where `active` rows of the batch are.
  int64_t running(int64_t active) const { return active <= first ? 0 : (active < last ? active : last) - first; }

 private:
  // How many rows, from the longest on, have about `wanted` steps together.
  static int64_t with_steps(const Batch &batch, int64_t wanted) {
    int64_t row = 0, length = batch.max_length;
    for (; row < batch.n_rows; row++) {
      while (length > 0 && batch.batch_sizes[length - 1] <= row) length--;
      if (length > 2 * wanted) break;  // less than half of it is among them
      wanted -= length;
    }
    return row;
  }
};

// Calls work(time, row, position) for each step of the rows, in the order of memory.
template <class Work> static inline void for_each_step(const Batch &batch, const Rows &rows, const Work &work) {
  for (int64_t time = 0; time < batch.max_length; time++) {
    const int64_t end = rows.first + rows.running(batch.batch_sizes[time]);
    for (int64_t row = rows.first; row < end; row++) work(time, row, batch.time_offsets[time] + row);
  }
}

// The rows of a part at one of its steps.
struct StepOfRows {
  int64_t time, before;  // `before`: the time that is read before this one; with it, no row may have begun
  int64_t n, n_begun;    // how many rows run; and how many of them have a state from before, the first ones

  // Of the step that a direction reads as number `step`.
  StepOfRows(const Batch &batch, const Rows &rows, bool reverse, int64_t step)
      : time(reverse ? batch.max_length - 1 - step : step), before(reverse ? time + 1 : time - 1),
        n(rows.running(batch.batch_sizes[time])), n_begun(step == 0 ? 0 : rows.running(batch.batch_sizes[before])) {}
};

}  // namespace ISA
}  // namespace seqclf
