// Sparse rows: counts the columns of each row, and applies a linear function. Compiled like recurrence/forward.cpp, but without
// fused multiply-adds, so that every processor gives the same sums as numpy.
#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

static const int64_t ROWS_PER_PARTITION = 32;
static const int DIGIT_BITS = 11;
static const int64_t N_DIGITS = 1 << DIGIT_BITS;
// Below this size insertion sort is faster than the prefix sums of radix sort.
static const int64_t MIN_RADIX_SORT = 64;

static void insertion_sort(int32_t *ids, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const int32_t id = ids[i];
    int64_t position = i;
    for (; position > 0 && ids[position - 1] > id; position--) ids[position] = ids[position - 1];
    ids[position] = id;
  }
}

// Sorts n ids from 0 to below `end` by least-significant-digit radix sort. Returns the array that holds the result.
static int32_t *sort(int32_t *ids, int32_t *scratch, int64_t n, int64_t end, int32_t *starts) {
  if (n < MIN_RADIX_SORT) {
    insertion_sort(ids, n);
    return ids;
  }
  for (int shift = 0; shift < 31 && (end - 1) >> shift; shift += DIGIT_BITS) {
    for (int64_t digit = 0; digit < N_DIGITS; digit++) starts[digit] = 0;
    for (int64_t i = 0; i < n; i++) starts[(ids[i] >> shift) & (N_DIGITS - 1)]++;
    int32_t before = 0;
    for (int64_t digit = 0; digit < N_DIGITS; digit++) {
      const int32_t here = starts[digit];
      starts[digit] = before;
      before += here;
    }
    for (int64_t i = 0; i < n; i++) scratch[starts[(ids[i] >> shift) & (N_DIGITS - 1)]++] = ids[i];
    int32_t *const sorted = scratch;
    scratch = ids;
    ids = sorted;
  }
  return ids;
}

// Writes the columns of a row, with repetitions. Returns their number.
static int64_t collect(const CountEntries &call, int64_t row, int32_t *columns) {
  int64_t n = 0;
  for (int64_t i = call.offsets[row]; i < call.offsets[row + 1]; i++) {
    const int64_t id = call.ids[i];
    if (!call.known_offsets) {
      if (id >= 0) columns[n++] = (int32_t)id;
      continue;
    }
    const bool is_new = id >= call.n_known;
    const int64_t *ends = is_new ? call.new_offsets + (id - call.n_known) : call.known_offsets + id;
    const int32_t *components = is_new ? call.new_columns : call.known_columns;
    for (int64_t k = ends[0]; k < ends[1]; k++) columns[n++] = components[k];
  }
  return n;
}

static void count_rows(const CountEntries &call, int64_t first, int64_t last) {
  int64_t max_size = 0;
  for (int64_t row = first; row < last; row++) {
    const int64_t size = call.write_offsets[row + 1] - call.write_offsets[row];
    max_size = size > max_size ? size : max_size;
  }
  const Buffer<int32_t> buffer(max_size), scratch(max_size), starts(N_DIGITS);
  for (int64_t row = first; row < last; row++) {
    const int64_t n = collect(call, row, buffer.data());
    const int32_t *sorted = sort(buffer.data(), scratch.data(), n, call.n_columns, starts.data());
    int32_t *columns = call.columns + call.write_offsets[row];
    float *counts = call.counts + call.write_offsets[row];
    int64_t different = -1;
    for (int64_t i = 0; i < n; i++) {
      if (!i || sorted[i] != sorted[i - 1]) {
        columns[++different] = sorted[i];
        counts[different] = 0;
      }
      counts[different]++;
    }
    call.lengths[row] = different + 1;
  }
}

int64_t count_entries(const CountEntries &call) {
  parallel_for(call.n_threads, (call.n_rows + ROWS_PER_PARTITION - 1) / ROWS_PER_PARTITION, [&](int64_t partition) {
    const int64_t first = partition * ROWS_PER_PARTITION, last = first + ROWS_PER_PARTITION;
    count_rows(call, first, last < call.n_rows ? last : call.n_rows);
  });
  // Closes the gaps between the entries of the rows.
  int64_t n_entries = 0;
  for (int64_t row = 0; row < call.n_rows; row++) {
    const int64_t from = call.write_offsets[row];
    for (int64_t i = 0; i < call.lengths[row] && from != n_entries; i++) {
      call.columns[n_entries + i] = call.columns[from + i];
      call.counts[n_entries + i] = call.counts[from + i];
    }
    n_entries += call.lengths[row];
  }
  return n_entries;
}

static void sum_row(const SparseLinear &call, int64_t row) {
  const int64_t start = call.offsets[row], stop = call.offsets[row + 1], n = call.n_outputs;
  float *outputs = call.outputs + row * n;
  if (n == 1) {
    float sum = 0;
    for (int64_t i = start; i < stop; i++) sum += call.values[i] * call.coef[call.columns[i]];
    outputs[0] = sum + call.intercept[0];
    return;
  }
  for (int64_t output = 0; output < n; output++) outputs[output] = 0;
  for (int64_t i = start; i < stop; i++) {
    const float value = call.values[i], *coef = call.coef + call.columns[i] * n;
    for (int64_t output = 0; output < n; output++) outputs[output] += value * coef[output];
  }
  for (int64_t output = 0; output < n; output++) outputs[output] += call.intercept[output];
}

void sparse_linear(const SparseLinear &call) {
  parallel_for(call.n_threads, (call.n_rows + ROWS_PER_PARTITION - 1) / ROWS_PER_PARTITION, [&](int64_t partition) {
    const int64_t first = partition * ROWS_PER_PARTITION, last = first + ROWS_PER_PARTITION;
    for (int64_t row = first; row < (last < call.n_rows ? last : call.n_rows); row++) sum_row(call, row);
  });
}

}  // namespace ISA
}  // namespace seqclf
