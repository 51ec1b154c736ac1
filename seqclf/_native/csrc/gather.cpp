// Copies the steps of the data into the order of a batch, and looks up the table entries of each step. Compiled like
// recurrence/forward.cpp.
#include <string.h>

#include <atomic>

#include "abi.h"
#include "parallel.h"
#include "recurrence/partition.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Calls `convert(to, from)` for each step. The sequences of a batch are scattered over the data, so each is prefetched 256
// bytes ahead. On one processor 64 bytes took the same time; with 512 bytes or more, and without prefetching, gathering took up
// to twice as long.
template <typename Convert> static void gather_by(const Gather &call, int64_t gathered_bytes, Convert convert) {
  char *const gathered = (char *)call.gathered;
  for_each_step(call.batch, RowRange(call.batch), [&](int64_t time, int64_t row, int64_t position) {
    const char *from = (const char *)call.steps + (call.data_offsets[row] + time) * call.stride;
    __builtin_prefetch(from + 256);
    convert(gathered + position * gathered_bytes, from);
  });
}

void gather(const Gather &call) {
  if (call.widens_ids)
    gather_by(call, 8, [](char *to, const char *from) { *(int64_t *)to = *(const int32_t *)from; });
  else if (call.step_bytes == 4)  // A copy of constant size is a single instruction.
    gather_by(call, 4, [](char *to, const char *from) { memcpy(to, from, 4); });
  else if (call.step_bytes == 8)
    gather_by(call, 8, [](char *to, const char *from) { memcpy(to, from, 8); });
  else if (call.step_bytes > 0)
    gather_by(call, call.step_bytes, [&](char *to, const char *from) { memcpy(to, from, call.step_bytes); });
}

// Copies the table entries of the steps of some rows; false if an entry is out of range. The values of a later time are
// prefetched, because most of them are not in a cache.
static bool look_up_partition(const TableLookUp &call, const RowRange &rows) {
  const Batch &batch = call.batch;
  const int64_t prefetch_distance = 2;  // on one processor 1 to 8 took the same time, no prefetching a fifth longer
  const auto values_of = [&](const Table &table, int64_t row, int32_t entry) {
    return table.values + (call.versions[row] * table.n_entries + entry) * table.n_channels;
  };
  int64_t width = 0;
  for (int64_t i = 0; i < call.n_tables; i++) width += call.tables[i].n_channels;
  bool in_range = true;
  for_each_step(batch, rows, [&](int64_t time, int64_t row, int64_t position) {
    const int32_t *entries = call.entries + (call.data_offsets[row] + time) * call.stride;
    const bool continues = time + prefetch_distance < batch.max_length && row < batch.batch_sizes[time + prefetch_distance];
    float *features = call.features + position * width;
    for (int64_t i = 0; i < call.n_tables; i++) {
      const Table &table = call.tables[i];
      if (continues) __builtin_prefetch(values_of(table, row, entries[prefetch_distance * call.stride + i]));
      if (entries[i] < 0 || entries[i] >= table.n_entries) {
        in_range = false;
        return;
      }
      const float *values = values_of(table, row, entries[i]);
      for (int64_t k = 0; k < table.n_channels; k++) *features++ = values[k];
    }
  });
  return in_range;
}

bool look_up(const TableLookUp &call) {
  for (int64_t i = 0; i < call.n_tables; i++)
    for (int64_t row = 0; row < call.batch.n_rows; row++)
      if (call.versions[row] < 0 || call.versions[row] >= call.tables[i].n_versions) return false;
  std::atomic<bool> out_of_range{false};
  parallel_for(call.n_threads, call.n_threads, [&](int64_t partition) {
    if (!look_up_partition(call, RowRange(call.batch, partition, call.n_threads))) out_of_range = true;
  });
  return !out_of_range;
}

}  // namespace ISA
}  // namespace seqclf
