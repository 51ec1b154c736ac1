// Lazily updated rows. An update skips the rows of a matrix that have no gradient. Their pending updates are applied when a row
// is read or has a gradient again. Only rmsprop, adam and adamw need this. Included only by optimizer.cpp.
#pragma once
#include <float.h>
#include <math.h>
#include <string.h>

#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// How many rows ahead to prefetch. On one processor with a cache of 32 MB, distances from 1 to 32 and no prefetching took the
// same time.
static const int64_t PREFETCH_DISTANCE = 8;

// The sum of the pending updates of a row with adam. Let m and s be the moments at its last update. In the jth update after
// that, the nth of all, the moments are b1^j m and b2^j s, and this is subtracted from the values:
//   rate m^ / (sqrt(s^) + eps) = w_j m / (sqrt(s) + e_j),
//   w_j = rate (b1 / sqrt(b2))^j sqrt(1 - b2^n) / (1 - b1^n),  e_j = eps sqrt(1 - b2^n) / b2^(j/2).
// With w the sum of the w_j, e the mean and d the variance of the e_j under the weights w_j, all pending updates subtract
//   w m / (sqrt(s) + e) (1 + d / (sqrt(s) + e)^2),
// up to the third order in eps. The sums converge if b1 < b2^1.5. The weight decay of adamw shrinks, in each update, the values
// and what was subtracted before.
struct DecayedUpdate {
  double value_factor, w, w_e, w_e_e;  // the factor of the values; the sums of the w_j, of the w_j e_j, of the w_j e_j e_j
};

// The powers b^0, b^1, ... of both decays, up to the number of logged updates.
struct DecayPowers {
  const double *decay, *momentum;
};

static inline bool is_lazy(const Parameter &parameter) { return parameter.last_update != nullptr; }

// The capacity of the buffer that `powers_of` needs.
static int64_t powers_capacity(const Parameter &parameter) { return is_lazy(parameter) ? 2 * (parameter.max_logged + 1) : 0; }

static DecayPowers powers_of(const Parameter &parameter, double *buffer) {
  double *decay = buffer, *momentum = buffer + parameter.max_logged + 1;
  decay[0] = momentum[0] = 1;
  for (int64_t k = 0; k < parameter.n_logged; k++) {
    decay[k + 1] = decay[k] * parameter.decay;
    momentum[k + 1] = momentum[k] * parameter.momentum;
  }
  return DecayPowers{decay, momentum};
}

static inline void prefetch(const float *p, int64_t n) {
  for (int64_t k = 0; k < n; k += 16) __builtin_prefetch(p + k, 1);  // 16 floats fill a cache line
}

// The rows of a batch are scattered, so the hardware does not prefetch them.
static inline void prefetch_row(const Parameter &parameter, int64_t row) {
  const int64_t from = row * parameter.dim;
  prefetch(parameter.values + from, parameter.dim);
  if (parameter.mean) prefetch(parameter.mean + from, parameter.dim);
  if (parameter.square) prefetch(parameter.square + from, parameter.dim);
}

// Applies an update to `n` contiguous values. e is never exactly zero, so values whose mean is zero do not change even if s and
// eps are zero.
static inline void apply_update(const DecayedUpdate &by, float decay, float momentum, float *__restrict values,
                                float *__restrict mean, float *__restrict square, int64_t n) {
  const float value_factor = (float)by.value_factor, w = (float)by.w, e = by.w > 0 ? (float)(by.w_e / by.w) + FLT_MIN : 1.0f;
  const float d = by.w_e > 0 ? (float)(by.w_e_e / by.w_e * (by.w / by.w_e) - 1) : 0.0f;  // in units of e
  for (int64_t k = 0; k < n; k++) {
    const float m = mean[k], s = square[k], over = 1 / (sqrtf(s) + e);
    values[k] = value_factor * values[k] - w * (m * over) * (1 + d * (e * over) * (e * over));
    mean[k] = momentum * m;
    square[k] = decay * s;
  }
}

// Applies the pending updates of a row: those from index `last_update` of the log on.
static inline void apply_pending(const Parameter &parameter, const DecayPowers &powers, int64_t row, int64_t last_update) {
  const int64_t gap = parameter.n_logged - last_update, from = row * parameter.dim;
  const float decay = (float)powers.decay[gap];
  float *square = parameter.square + from;
  if (parameter.mean)
    apply_update(((const DecayedUpdate *)parameter.decay_log)[last_update], decay, (float)powers.momentum[gap],
                 parameter.values + from, parameter.mean + from, square, parameter.dim);
  else
    for (int64_t k = 0; k < parameter.dim; k++) square[k] *= decay;
}

// Call it before a row is updated. Applies the row's pending updates, and records that it is up to date after this update.
static inline void begin_row(const Parameter &parameter, const DecayPowers &powers, int64_t row) {
  const int64_t last_update = parameter.last_update[row];
  if (last_update != parameter.n_logged) apply_pending(parameter, powers, row, last_update);
  parameter.last_update[row] = (int32_t)parameter.n_logged + 1;
}

struct PendingRow {
  int32_t row, last_update;
};

struct PendingRows {
  const Parameter &parameter;
  DecayPowers powers;
  const PendingRow *rows;
  int64_t n;
};

static void apply_pending_partition(const PendingRows &pending, int64_t partition, int64_t n_partitions) {
  const int64_t first = pending.n * partition / n_partitions, end = pending.n * (partition + 1) / n_partitions;
  for (int64_t i = first; i < end; i++) {
    if (i + PREFETCH_DISTANCE < end) prefetch_row(pending.parameter, pending.rows[i + PREFETCH_DISTANCE].row);
    apply_pending(pending.parameter, pending.powers, pending.rows[i].row, pending.rows[i].last_update);
  }
}

// Applies the pending updates of the rows `ids`. If `ids` is null, applies those of all rows and clears the log.
static void sync_rows(Parameter &parameter, const int64_t *ids, int64_t n_ids, int64_t n_threads) {
  if (!ids) n_ids = parameter.n_rows;
  const int32_t now = (int32_t)parameter.n_logged;
  Buffer<double> powers(powers_capacity(parameter));
  Buffer<PendingRow> rows(n_ids);
  int64_t n = 0;
  for (int64_t i = 0; i < n_ids; i++) {  // No branch on whether a row is pending, because it is unpredictable.
    const int64_t row = ids ? ids[i] : i;
    if (row < 0 || row >= parameter.n_rows) continue;
    rows[n] = PendingRow{(int32_t)row, parameter.last_update[row]};
    n += parameter.last_update[row] != now;
    parameter.last_update[row] = now;
  }
  const PendingRows pending{parameter, powers_of(parameter, powers.data()), rows.data(), n};
  parallel_for(n_threads, n_threads, [&](int64_t partition) { apply_pending_partition(pending, partition, n_threads); });
  if (!ids) {
    memset(parameter.last_update, 0, parameter.n_rows * sizeof(int32_t));
    parameter.n_logged = 0;
  }
}

// Call it before an update. Makes sure that the update can be logged.
static void reserve_log(Parameter &parameter, int64_t n_threads) {
  if (parameter.n_logged == parameter.max_logged) sync_rows(parameter, nullptr, 0, n_threads);
}

// Call it after an update. Logs the update, and adds it to the sums of pending updates of rows that had no gradient.
static void log_update(int64_t rule, Parameter &parameter) {
  if (parameter.decay_log) {
    const double b1 = parameter.momentum, b2 = parameter.decay, n = *parameter.n_updates, root = sqrt(1 - pow(b2, n));
    const double value_factor = rule == ADAMW ? 1 - parameter.learning_rate * parameter.weight_decay : 1;
    double w = parameter.learning_rate * root / (1 - pow(b1, n)), w_e = w * parameter.eps * root;
    double w_e_e = w_e * parameter.eps * root;
    DecayedUpdate *log = (DecayedUpdate *)parameter.decay_log;
    log[parameter.n_logged] = DecayedUpdate{1, 0, 0, 0};
    for (int64_t logged = parameter.n_logged; logged >= 0; logged--) {
      w *= b1 / sqrt(b2);
      w_e *= b1 / b2;
      w_e_e *= b1 / (b2 * sqrt(b2));
      const DecayedUpdate before = log[logged];
      log[logged] = DecayedUpdate{value_factor * before.value_factor, value_factor * before.w + w,
                                  value_factor * before.w_e + w_e, value_factor * before.w_e_e + w_e_e};
    }
  }
  parameter.n_logged++;
}

}  // namespace ISA
}  // namespace seqclf
