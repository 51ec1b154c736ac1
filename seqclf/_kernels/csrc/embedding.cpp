// The way into the first layer: steps of the data into the order of the batch, what tables say of them, and the gradient of
// their ids' vectors back into the table. Compiled like forward.cpp.
#include <string.h>

#include <atomic>

#include "kernels.h"
#include "parts.h"
#include "reading.h"

namespace seqclf {
namespace ISA {

// `convert(to, from)` for each step. The rows of a batch lie anywhere in the data: what they read soon is fetched meanwhile.
template <typename Convert> static void arrange_by(const Arrangement &call, int64_t arranged_bytes, Convert convert) {
  char *arranged = (char *)call.arranged;
  for (int64_t time = 0; time < call.batch.n_times; time++)
    for (int64_t row = 0; row < call.batch.active[time]; row++, arranged += arranged_bytes) {
      const char *from = (const char *)call.steps + (call.offsets[row] + time) * call.stride;
      __builtin_prefetch(from + 256);
      convert(arranged, from);
    }
}

void arrange(const Arrangement &call) {
  if (call.widened)
    arrange_by(call, 8, [](char *to, const char *from) { *(int64_t *)to = *(const int32_t *)from; });
  else if (call.step_bytes == 4)  // A copy of a known size is a single instruction.
    arrange_by(call, 4, [](char *to, const char *from) { memcpy(to, from, 4); });
  else if (call.step_bytes == 8)
    arrange_by(call, 8, [](char *to, const char *from) { memcpy(to, from, 8); });
  else if (call.step_bytes > 0)
    arrange_by(call, call.step_bytes, [&](char *to, const char *from) { memcpy(to, from, call.step_bytes); });
}

// The time that the step at `position` belongs to.
static int64_t time_of(const Batch &batch, int64_t position) {
  int64_t first = 0, last = batch.n_times;
  while (last - first > 1) {
    const int64_t middle = (first + last) / 2;
    (batch.starts[middle] <= position ? first : last) = middle;
  }
  return first;
}

// What the tables hold for the steps at the positions from `first` to `last`; false if there is an entry that they don't have.
// Those of a later time are fetched meanwhile, since most of them are in no cache.
static bool look_up_part(const LookUp &call, int64_t first, int64_t last) {
  const Batch &batch = call.batch;
  const int64_t ahead = 2;
  const auto values_of = [&](const Table &table, int64_t row, int32_t entry) {
    return table.values + (call.versions[row] * table.n_entries + entry) * table.n_channels;
  };
  int64_t width = 0;
  for (int64_t i = 0; i < call.n_tables; i++) width += call.tables[i].n_channels;
  float *found = call.found + first * width;
  int64_t time = time_of(batch, first);
  for (int64_t position = first; position < last; position++) {
    while (position >= batch.starts[time + 1]) time++;
    const int64_t row = position - batch.starts[time];
    const int32_t *entries = call.entries + (call.offsets[row] + time) * call.stride;
    const bool goes_on = time + ahead < batch.n_times && row < batch.active[time + ahead];
    for (int64_t i = 0; i < call.n_tables; i++) {
      const Table &table = call.tables[i];
      if (goes_on) __builtin_prefetch(values_of(table, row, entries[ahead * call.stride + i]));
      if (entries[i] < 0 || entries[i] >= table.n_entries) return false;
      const float *values = values_of(table, row, entries[i]);
      for (int64_t k = 0; k < table.n_channels; k++) *found++ = values[k];
    }
  }
  return true;
}

// A part of the work is a range of positions.
bool look_up(const LookUp &call) {
  for (int64_t i = 0; i < call.n_tables; i++)
    for (int64_t row = 0; row < call.batch.n_rows; row++)
      if (call.versions[row] < 0 || call.versions[row] >= call.tables[i].n_versions) return false;
  struct Job {
    const LookUp &call;
    int64_t n_steps;
    std::atomic<bool> refused;
  } job{call, seqclf::ISA::n_steps(call.batch), {false}};
  in_parallel(call.n_threads, job.n_steps ? call.n_threads : 0, &job, [](void *pointer, int64_t part, int64_t n_parts) {
    Job &job = *(Job *)pointer;
    if (!look_up_part(job.call, job.n_steps * part / n_parts, job.n_steps * (part + 1) / n_parts)) job.refused = true;
  });
  return !job.refused;
}

// How many rows there are; -1 if an id is none of the table.
int64_t embedding_rows(const EmbeddingRows &call) {
  memset(call.places, 0, call.n_ids * sizeof(int32_t));
  for (int64_t step = 0; step < call.n_steps; step++) {
    const int64_t id = call.ids[step];
    if (id < 0 || id >= call.n_ids) return -1;
    call.places[id] = 1;
  }
  int64_t n = 0;
  for (int64_t id = 0; id < call.n_ids; id++) {  // No branches, which nobody could guess.
    const int32_t occurs = call.places[id];
    call.rows[n] = id;
    call.places[id] = (int32_t)n;
    n += occurs;
  }
  return n;
}

// A part of the work is a range of columns, a cache line wide or more: each sum runs over the steps in their order, whatever
// the number of threads.
void embed_backward(const EmbeddingBackward &call) {
  const int64_t lines = (call.dim + 15) / 16;
  in_parallel(call.n_threads, call.n_threads > 1 ? lines : 1, (void *)&call, [](void *pointer, int64_t part, int64_t n_parts) {
    const EmbeddingBackward &call = *(const EmbeddingBackward *)pointer;
    const int64_t dim = call.dim, lines = (dim + 15) / 16;
    const int64_t first = lines * part / n_parts * 16, end = lines * (part + 1) / n_parts * 16;
    const int64_t n = (end < dim ? end : dim) - first;
    if (n == dim && call.n_rows > 0)
      memset(call.grad_table, 0, call.n_rows * dim * sizeof(float));
    else
      for (int64_t row = 0; row < call.n_rows; row++) memset(call.grad_table + row * dim + first, 0, n * sizeof(float));
    for (int64_t time = 0; time < call.batch.n_times; time++)
      for (int64_t row = 0; row < call.batch.active[time]; row++) {
        const int64_t position = call.batch.starts[time] + row, id = call.ids[position];
        times_mask<true>(call.grad_table + (call.places ? call.places[id] : id) * dim + first,
                         call.grad_vectors + position * dim + first,
                         call.mask ? call.mask + row * dim + first : nullptr, n);
      }
  });
}

}  // namespace ISA
}  // namespace seqclf
