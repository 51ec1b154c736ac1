// The steps of a batch, copied out of the data into the order of the batch, and the table entries of each step. Compiled like
// recurrence/forward.cpp.
#include <string.h>

#include <atomic>

#include "abi.h"
#include "parallel.h"
#include "recurrence/partition.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Calls `convert(to, from)` for each step. The sequences of a batch lie anywhere in the data, so what they read next is
// prefetched.
template <typename Convert> static void gather_by(const Gather &call, int64_t gathered_bytes, Convert convert) {
  char *gathered = (char *)call.gathered;
  for (int64_t time = 0; time < call.batch.max_length; time++)
    for (int64_t row = 0; row < call.batch.batch_sizes[time]; row++, gathered += gathered_bytes) {
      const char *from = (const char *)call.steps + (call.data_offsets[row] + time) * call.stride;
      __builtin_prefetch(from + 256);
      convert(gathered, from);
    }
}

void gather(const Gather &call) {
  if (call.widened)
    gather_by(call, 8, [](char *to, const char *from) { *(int64_t *)to = *(const int32_t *)from; });
  else if (call.step_bytes == 4)  // A copy of a known size is a single instruction.
    gather_by(call, 4, [](char *to, const char *from) { memcpy(to, from, 4); });
  else if (call.step_bytes == 8)
    gather_by(call, 8, [](char *to, const char *from) { memcpy(to, from, 8); });
  else if (call.step_bytes > 0)
    gather_by(call, call.step_bytes, [&](char *to, const char *from) { memcpy(to, from, call.step_bytes); });
}

// The time that the step at `position` belongs to.
static int64_t time_of(const Batch &batch, int64_t position) {
  int64_t first = 0, last = batch.max_length;
  while (last - first > 1) {
    const int64_t middle = (first + last) / 2;
    (batch.time_offsets[middle] <= position ? first : last) = middle;
  }
  return first;
}

// Copies what the tables hold for the steps at the positions from `first` to `last`; false if an entry is out of range. The
// values of a later time are prefetched, since most of them are in no cache.
static bool look_up_part(const TableLookUp &call, int64_t first, int64_t last) {
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
    while (position >= batch.time_offsets[time + 1]) time++;
    const int64_t row = position - batch.time_offsets[time];
    const int32_t *entries = call.entries + (call.data_offsets[row] + time) * call.stride;
    const bool goes_on = time + ahead < batch.max_length && row < batch.batch_sizes[time + ahead];
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
bool look_up(const TableLookUp &call) {
  for (int64_t i = 0; i < call.n_tables; i++)
    for (int64_t row = 0; row < call.batch.n_rows; row++)
      if (call.versions[row] < 0 || call.versions[row] >= call.tables[i].n_versions) return false;
  const int64_t n = n_steps(call.batch), n_parts = n ? call.n_threads : 0;
  std::atomic<bool> refused{false};
  parallel_for(call.n_threads, n_parts, [&](int64_t part) {
    if (!look_up_part(call, n * part / n_parts, n * (part + 1) / n_parts)) refused = true;
  });
  return !refused;
}

}  // namespace ISA
}  // namespace seqclf
