// Rows of numbers of which most are zero: how often they hold each of many things, and a linear function of them. Compiled like
// recurrence/forward.cpp, but without fused multiply-adds, so that every processor gives the same sums, which are numpy's.
#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Rows that one part of the work takes.
static const int64_t rows_of_part = 32;
static const int digit_bits = 11;
static const int64_t n_digits = 1 << digit_bits;
// Fewer numbers than this are sorted by insertion: it takes less time than to add up the counts of digits.
static const int64_t few = 64;

static void sort_few(int32_t *numbers, int64_t n) {
  for (int64_t i = 1; i < n; i++) {
    const int32_t number = numbers[i];
    int64_t place = i;
    for (; place > 0 && numbers[place - 1] > number; place--) numbers[place] = numbers[place - 1];
    numbers[place] = number;
  }
}

// Sorts n numbers from 0 to below `end` digit by digit, the last one first; gives which of the two memories they are in.
static int32_t *sort(int32_t *numbers, int32_t *other, int64_t n, int64_t end, int32_t *places) {
  if (n < few) {
    sort_few(numbers, n);
    return numbers;
  }
  for (int shift = 0; shift < 31 && (end - 1) >> shift; shift += digit_bits) {
    for (int64_t digit = 0; digit < n_digits; digit++) places[digit] = 0;
    for (int64_t i = 0; i < n; i++) places[(numbers[i] >> shift) & (n_digits - 1)]++;
    int32_t before = 0;
    for (int64_t digit = 0; digit < n_digits; digit++) {
      const int32_t here = places[digit];
      places[digit] = before;
      before += here;
    }
    for (int64_t i = 0; i < n; i++) other[places[(numbers[i] >> shift) & (n_digits - 1)]++] = numbers[i];
    int32_t *const sorted = other;
    other = numbers;
    numbers = sorted;
  }
  return numbers;
}

// The columns that a row holds, each as often as it does; gives how many they are.
static int64_t collect(const CountEntries &call, int64_t row, int32_t *columns) {
  int64_t n = 0;
  for (int64_t i = call.offsets[row]; i < call.offsets[row + 1]; i++) {
    const int64_t number = call.numbers[i];
    if (!call.known_offsets) {
      if (number >= 0) columns[n++] = (int32_t)number;
      continue;
    }
    const bool is_new = number >= call.n_known;
    const int64_t *ends = is_new ? call.new_offsets + (number - call.n_known) : call.known_offsets + number;
    const int32_t *inside = is_new ? call.new_columns : call.known_columns;
    for (int64_t k = ends[0]; k < ends[1]; k++) columns[n++] = inside[k];
  }
  return n;
}

static void count_rows(const CountEntries &call, int64_t first, int64_t last) {
  int64_t most = 0;
  for (int64_t row = first; row < last; row++) {
    const int64_t room = call.room[row + 1] - call.room[row];
    most = room > most ? room : most;
  }
  const Buffer<int32_t> some(most), others(most), places(n_digits);
  for (int64_t row = first; row < last; row++) {
    const int64_t n = collect(call, row, some.data());
    const int32_t *sorted = sort(some.data(), others.data(), n, call.n_columns, places.data());
    int32_t *columns = call.columns + call.room[row];
    float *counts = call.counts + call.room[row];
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
  parallel_for(call.n_threads, (call.n_rows + rows_of_part - 1) / rows_of_part, [&](int64_t part) {
    const int64_t first = part * rows_of_part, last = first + rows_of_part;
    count_rows(call, first, last < call.n_rows ? last : call.n_rows);
  });
  // The entries follow one another without a gap in the end.
  int64_t written = 0;
  for (int64_t row = 0; row < call.n_rows; row++) {
    const int64_t from = call.room[row];
    for (int64_t i = 0; i < call.lengths[row] && from != written; i++) {
      call.columns[written + i] = call.columns[from + i];
      call.counts[written + i] = call.counts[from + i];
    }
    written += call.lengths[row];
  }
  return written;
}

static void add_up_row(const SparseLinear &call, int64_t row) {
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
  parallel_for(call.n_threads, (call.n_rows + rows_of_part - 1) / rows_of_part, [&](int64_t part) {
    const int64_t first = part * rows_of_part, last = first + rows_of_part;
    for (int64_t row = first; row < (last < call.n_rows ? last : call.n_rows); row++) add_up_row(call, row);
  });
}

}  // namespace ISA
}  // namespace seqclf
