// Pools the hidden states of the steps of each row into one vector. Compiled like recurrence/forward.cpp.
//
// A partition is a range of rows. It reads the steps in memory order. The sums of a row run over its steps in order, so they do
// not depend on other rows.
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

static void pool_max(const Pooling &call, const RowRange &rows) {
  const int64_t n = call.n_features;
  const Buffer<int32_t> scratch(n);  // if the caller does not need the positions
  for_each_step(call.batch, rows, [&](int64_t time, int64_t row, int64_t position) {
    const float *value = call.values + position * call.stride;
    float *best = call.pooled + row * n;
    int32_t *positions = call.max_positions ? call.max_positions + row * n : scratch.data();
    if (time == 0) {
      for (int64_t k = 0; k < n; k++) best[k] = value[k], positions[k] = (int32_t)position;
      return;
    }
    for (int64_t k = 0; k < n; k++) {
      const bool better = value[k] > best[k] || value[k] != value[k];  // NaN propagates
      best[k] = better ? value[k] : best[k];
      positions[k] = better ? (int32_t)position : positions[k];
    }
  });
}

static void pool_mean(const Pooling &call, const RowRange &rows) {
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

// a . b in eight running sums, which are added in order.
static inline double dot(const float *a, const float *b, int64_t n) {
  v8 sums = broadcast(0.0f);
  int64_t k = 0;
  for (; k + 8 <= n; k += 8) sums += load(a + k) * load(b + k);
  double total = 0;
  for (int lane = 0; lane < 8; lane++) total += sums[lane];
  for (; k < n; k++) total += (double)a[k] * b[k];
  return total;
}

// Online softmax: the sums are rescaled whenever a larger score occurs.
static void pool_attention(const Pooling &call, const RowRange &rows) {
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
  const int64_t n_partitions = partition_count(call.n_threads, call.batch, call.n_features);
  parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
    const RowRange rows(call.batch, partition, n_partitions);
    switch ((PoolingKind)call.kind) {
      case MAX: return pool_max(call, rows);
      case MEAN: return pool_mean(call, rows);
      case ATTENTION: return pool_attention(call, rows);
    }
  });
}

static void pool_backward_partition(const PoolingBackward &call, const RowRange &rows) {
  const int64_t n = call.n_features;
  const Buffer<float> mean_grads(rows.count() * n);  // zeros for MAX: steps without the maximum get no gradient
  if (call.kind == MEAN)
    for (int64_t row = rows.first; row < rows.last; row++) {
      int64_t length = 0;
      while (length < call.batch.max_length && call.batch.batch_sizes[length] > row) length++;
      for (int64_t k = 0; k < n; k++) mean_grads[(row - rows.first) * n + k] = call.grad_pooled[row * n + k] / length;
    }
  for (int64_t time = 0; time < call.batch.max_length; time++)
    memcpy(call.grad_values + (call.batch.time_offsets[time] + rows.first) * n, mean_grads.data(),
           rows.running(call.batch.batch_sizes[time]) * n * sizeof(float));
  for (int64_t row = rows.first; row < rows.last && call.kind == MAX; row++)
    for (int64_t k = 0; k < n; k++) call.grad_values[call.max_positions[row * n + k] * n + k] = call.grad_pooled[row * n + k];
}

void pool_backward(const PoolingBackward &call) {
  const int64_t n_partitions = partition_count(call.n_threads, call.batch, call.n_features);
  parallel_for(call.n_threads, n_partitions,
               [&](int64_t partition) { pool_backward_partition(call, RowRange(call.batch, partition, n_partitions)); });
}

// With a = softmax(s), s = keys . query, v = sum a values, and grad the gradient of v: the gradient of a value is a grad, and
// that of a score is a (grad . value - grad . v).
static void attend_backward_partition(const AttentionBackward &call, const RowRange &rows, double *grad_query) {
  const int64_t n = call.n_features;
  const Buffer<double> grad_dot_pooled(rows.count());
  for (int64_t row = rows.first; row < rows.last; row++)
    grad_dot_pooled[row - rows.first] = dot(call.grad_pooled + row * n, call.pooled + row * n, n);
  for_each_step(call.batch, rows, [&](int64_t, int64_t row, int64_t position) {
    const float *value = call.values + position * call.stride, *key = call.keys + position * n;
    const float *grad = call.grad_pooled + row * n;
    float *grad_value = call.grad_values + position * n, *grad_key = call.grad_keys + position * n;
    const double weight = exp(dot(key, call.query, n) - call.scales[row]);
    const double grad_score = weight * (dot(grad, value, n) - grad_dot_pooled[row - rows.first]);
    const float factor = (float)weight, key_factor = (float)grad_score;
    for (int64_t k = 0; k < n; k++) {
      grad_value[k] = factor * grad[k];
      grad_key[k] = key_factor * call.query[k];
      grad_query[k] += grad_score * key[k];
    }
  });
}

void attend_backward(const AttentionBackward &call) {
  const int64_t n_partitions = partition_count(call.n_threads, call.batch, call.n_features), n = call.n_features;
  const Buffer<double> sums(n_partitions * n);
  parallel_for(call.n_threads, n_partitions, [&](int64_t partition) {
    attend_backward_partition(call, RowRange(call.batch, partition, n_partitions), sums.data() + partition * n);
  });
  for (int64_t k = 0; k < n; k++) {
    double total = 0;
    for (int64_t partition = 0; partition < n_partitions; partition++) total += sums[partition * n + k];
    call.grad_query[k] = (float)total;
  }
}

}  // namespace ISA
}  // namespace seqclf
