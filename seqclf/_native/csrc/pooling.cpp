// From the hidden states of every step to one vector per row. Compiled like recurrence/forward.cpp.
//
// A part of the work is a range of rows: it walks the steps in the order of memory; each row's sums run over its steps in
// order, whatever rows are beside it.
#include <math.h>
#include <string.h>

#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "recurrence/partition.h"
#include "simd.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

static void pool_max(const Pooling &call, const Rows &rows) {
  const int64_t n = call.n_features;
  const Buffer<int32_t> unused(n);  // where the caller does not ask for the positions
  for_each_step(call.batch, rows, [&](int64_t time, int64_t row, int64_t position) {
    const float *value = call.values + position * call.stride;
    float *best = call.pooled + row * n;
    int32_t *chosen = call.chosen ? call.chosen + row * n : unused.data();
    if (time == 0) {
      for (int64_t k = 0; k < n; k++) best[k] = value[k], chosen[k] = (int32_t)position;
      return;
    }
    for (int64_t k = 0; k < n; k++) {
      const bool better = value[k] > best[k] || value[k] != value[k];  // NaN goes through
      best[k] = better ? value[k] : best[k];
      chosen[k] = better ? (int32_t)position : chosen[k];
    }
  });
}

static void pool_mean(const Pooling &call, const Rows &rows) {
  const int64_t n = call.n_features;
  const Buffer<double> sums(rows.count() * n);
  const Buffer<int64_t> lengths(rows.count());
  for_each_step(call.batch, rows, [&](int64_t, int64_t row, int64_t position) {
    const float *value = call.values + position * call.stride;
    double *sum = sums.data() + (row - rows.first) * n;
    for (int64_t k = 0; k < n; k++) sum[k] += value[k];
    lengths[row - rows.first]++;
  });
  for (int64_t row = rows.first; row < rows.last; row++)
    for (int64_t k = 0; k < n; k++)
      call.pooled[row * n + k] = (float)(sums[(row - rows.first) * n + k] / lengths[row - rows.first]);
}

// a . b in eight running sums, added up in their order.
static inline double dot(const float *a, const float *b, int64_t n) {
  v8 sums = broadcast(0.0f);
  int64_t k = 0;
  for (; k + 8 <= n; k += 8) sums += load(a + k) * load(b + k);
  double total = 0;
  for (int lane = 0; lane < 8; lane++) total += sums[lane];
  for (; k < n; k++) total += (double)a[k] * b[k];
  return total;
}

// The softmax runs with the steps: sums are scaled down whenever a larger score comes.
static void pool_attention(const Pooling &call, const Rows &rows) {
  const int64_t n = call.n_features;
  const Buffer<double> sums(rows.count() * n), totals(rows.count());
  const Buffer<double> largest(rows.count());
  for_each_step(call.batch, rows, [&](int64_t time, int64_t row, int64_t position) {
    const int64_t local = row - rows.first;
    const float *value = call.values + position * call.stride, *key = call.keys + position * n;
    double *sum = sums.data() + local * n;
    const double score = dot(key, call.query, n);
    if (time == 0 || score > largest[local]) {
      const double shrink = time == 0 ? 0 : exp(largest[local] - score);
      for (int64_t k = 0; k < n; k++) sum[k] *= shrink;
      totals[local] *= shrink;
      largest[local] = score;
    }
    const double weight = exp(score - largest[local]);
    for (int64_t k = 0; k < n; k++) sum[k] += weight * value[k];
    totals[local] += weight;
  });
  for (int64_t row = rows.first; row < rows.last; row++) {
    const int64_t local = row - rows.first;
    for (int64_t k = 0; k < n; k++) call.pooled[row * n + k] = (float)(sums[local * n + k] / totals[local]);
    if (call.scales) call.scales[row] = largest[local] + log(totals[local]);
  }
}

void pool(const Pooling &call) {
  const int64_t n_parts = parts_of(call.n_threads, call.batch, call.n_features);
  parallel_for(call.n_threads, n_parts, [&](int64_t part) {
    const Rows rows(call.batch, part, n_parts);
    switch ((Pool)call.kind) {
      case MAX: return pool_max(call, rows);
      case MEAN: return pool_mean(call, rows);
      case ATTENTION: return pool_attention(call, rows);
    }
  });
}

static void pool_backward_part(const PoolingBackward &call, const Rows &rows) {
  const int64_t n = call.n_features;
  const Buffer<float> shares(rows.count() * n);  // of a mean; a maximum leaves nothing for the other steps
  if (call.kind == MEAN)
    for (int64_t row = rows.first; row < rows.last; row++) {
      int64_t length = 0;
      while (length < call.batch.max_length && call.batch.batch_sizes[length] > row) length++;
      for (int64_t k = 0; k < n; k++) shares[(row - rows.first) * n + k] = call.grad_pooled[row * n + k] / length;
    }
  for (int64_t time = 0; time < call.batch.max_length; time++)
    memcpy(call.grad_values + (call.batch.time_offsets[time] + rows.first) * n, shares.data(),
           rows.running(call.batch.batch_sizes[time]) * n * sizeof(float));
  for (int64_t row = rows.first; row < rows.last && call.kind == MAX; row++)
    for (int64_t k = 0; k < n; k++) call.grad_values[call.chosen[row * n + k] * n + k] = call.grad_pooled[row * n + k];
}

void pool_backward(const PoolingBackward &call) {
  const int64_t n_parts = parts_of(call.n_threads, call.batch, call.n_features);
  parallel_for(call.n_threads, n_parts, [&](int64_t part) { pool_backward_part(call, Rows(call.batch, part, n_parts)); });
}

// With a = softmax(s), s = keys . query and v = sum a values: the gradient of a value is a times that of v, and of a score
// a (grad . value - grad . v).
static void attend_backward_part(const AttentionBackward &call, const Rows &rows, double *grad_query) {
  const int64_t n = call.n_features;
  const Buffer<double> together(rows.count());
  for (int64_t row = rows.first; row < rows.last; row++)
    together[row - rows.first] = dot(call.grad_pooled + row * n, call.pooled + row * n, n);
  for_each_step(call.batch, rows, [&](int64_t, int64_t row, int64_t position) {
    const float *value = call.values + position * call.stride, *key = call.keys + position * n;
    const float *grad = call.grad_pooled + row * n;
    float *grad_value = call.grad_values + position * n, *grad_key = call.grad_keys + position * n;
    const double weight = exp(dot(key, call.query, n) - call.scales[row]);
    const double grad_score = weight * (dot(grad, value, n) - together[row - rows.first]);
    const float factor = (float)weight, key_factor = (float)grad_score;
    for (int64_t k = 0; k < n; k++) {
      grad_value[k] = factor * grad[k];
      grad_key[k] = key_factor * call.query[k];
      grad_query[k] += grad_score * key[k];
    }
  });
}

void attend_backward(const AttentionBackward &call) {
  const int64_t n_parts = parts_of(call.n_threads, call.batch, call.n_features), n = call.n_features;
  const Buffer<double> sums(n_parts * n);
  parallel_for(call.n_threads, n_parts,
               [&](int64_t part) { attend_backward_part(call, Rows(call.batch, part, n_parts), sums.data() + part * n); });
  for (int64_t k = 0; k < n; k++) {
    double total = 0;
    for (int64_t part = 0; part < n_parts; part++) total += sums[part * n + k];
    call.grad_query[k] = (float)total;
  }
}

}  // namespace ISA
}  // namespace seqclf
