// Lazily updated rows. A step skips the rows of a table that have no gradient; their pending updates are applied when a row is
// read or has a gradient again. Only rmsprop, adam and adamw need this. Included by optimizer.cpp alone.
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

// How many rows ahead of their use rows are prefetched. On one processor with a cache of 32 MB, any distance from 1 to 32 took
// the same time, and so did no prefetching.
static const int64_t PREFETCH_DISTANCE = 8;

// The sum of the updates of adam that are pending for a row. In a step j later, the nth of all, m is b1^j m, s is b2^j s, and
// the values lose
//   rate m^ / (sqrt(s^) + eps) = w_j m / (sqrt(s) + e_j),
//   w_j = rate (b1 / sqrt(b2))^j sqrt(1 - b2^n) / (1 - b1^n),  e_j = eps sqrt(1 - b2^n) / b2^(j/2),
// where m and s are those of the row's last update. With w the sum of the w_j, and e the mean and d the variance of the e_j
// under the weights w_j, the values lose in all steps together
//   w m / (sqrt(s) + e) (1 + d / (sqrt(s) + e)^2),
// up to the third order in eps. The sums converge where b1 < b2^1.5. The weight decay of adamw shrinks, in each step, the
// values and what they have lost before.
struct DecayedUpdate {
  double keep, w, w_e, w_e_e;  // the factor of the values; the sums of the w_j, of the w_j e_j, of the w_j e_j e_j
};

// b^0, b^1 ... up to the number of logged steps, for both moments.
struct DecayPowers {
  const double *decay, *momentum;
};

static inline bool is_lazy(const Parameter &parameter) { return parameter.last_step != nullptr; }

// How many numbers `powers_of` writes at most.
static int64_t room_for_powers(const Parameter &parameter) { return is_lazy(parameter) ? 2 * (parameter.max_logged + 1) : 0; }

static DecayPowers powers_of(const Parameter &parameter, double *room) {
  double *decay = room, *momentum = room + parameter.max_logged + 1;
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

// The rows of a batch are too far apart for the processor's own prefetching.
static inline void prefetch_row(const Parameter &parameter, int64_t row) {
  const int64_t from = row * parameter.dim;
  prefetch(parameter.values + from, parameter.dim);
  if (parameter.mean) prefetch(parameter.mean + from, parameter.dim);
  if (parameter.square) prefetch(parameter.square + from, parameter.dim);
}

// Applies an update to `n` contiguous values. Values without a mean do not move, even if s and eps are zero: e is never exactly
// zero.
static inline void apply_update(const DecayedUpdate &by, float decay, float momentum, float *__restrict values,
                                float *__restrict mean, float *__restrict square, int64_t n) {
  const float keep = (float)by.keep, w = (float)by.w, e = by.w > 0 ? (float)(by.w_e / by.w) + FLT_MIN : 1.0f;
  const float d = by.w_e > 0 ? (float)(by.w_e_e / by.w_e * (by.w / by.w_e) - 1) : 0.0f;  // in units of e
  for (int64_t k = 0; k < n; k++) {
    const float m = mean[k], s = square[k], over = 1 / (sqrtf(s) + e);
    values[k] = keep * values[k] - w * (m * over) * (1 + d * (e * over) * (e * over));
    mean[k] = momentum * m;
    square[k] = decay * s;
  }
}

// Brings a row up to date that was updated up to the logged step `last_step`.
static inline void apply_pending(const Parameter &parameter, const DecayPowers &powers, int64_t row, int64_t last_step) {
  const int64_t gap = parameter.n_logged - last_step, from = row * parameter.dim;
  const float decay = (float)powers.decay[gap];
  float *square = parameter.square + from;
  if (parameter.mean)
    apply_update(((const DecayedUpdate *)parameter.decay_log)[last_step], decay, (float)powers.momentum[gap],
                 parameter.values + from, parameter.mean + from, square, parameter.dim);
  else
    for (int64_t k = 0; k < parameter.dim; k++) square[k] *= decay;
}

// Before a step updates a row: applies what is pending, and records that the row is up to date after this step.
static inline void begin_row(const Parameter &parameter, const DecayPowers &powers, int64_t row) {
  const int64_t last_step = parameter.last_step[row];
  if (last_step != parameter.n_logged) apply_pending(parameter, powers, row, last_step);
  parameter.last_step[row] = (int32_t)parameter.n_logged + 1;
}

struct PendingRow {
  int32_t row, last_step;
};

struct PendingRows {
  const Parameter &parameter;
  DecayPowers powers;
  const PendingRow *rows;
  int64_t n;
};

static void apply_pending_part(const PendingRows &pending, int64_t part, int64_t n_parts) {
  const int64_t first = pending.n * part / n_parts, end = pending.n * (part + 1) / n_parts;
  for (int64_t i = first; i < end; i++) {
    if (i + PREFETCH_DISTANCE < end) prefetch_row(pending.parameter, pending.rows[i + PREFETCH_DISTANCE].row);
    apply_pending(pending.parameter, pending.powers, pending.rows[i].row, pending.rows[i].last_step);
  }
}

// Brings rows up to date: those of `n_ids` ids, or all if `ids` is null. With all of them the log is cleared.
static void sync_rows(Parameter &parameter, const int64_t *ids, int64_t n_ids, int64_t n_threads) {
  if (!ids) n_ids = parameter.n_rows;
  const int32_t now = (int32_t)parameter.n_logged;
  Buffer<double> powers(room_for_powers(parameter));
  Buffer<PendingRow> rows(n_ids);
  int64_t n = 0;
  for (int64_t i = 0; i < n_ids; i++) {  // No branch on whether a row is pending: that is unpredictable.
    const int64_t row = ids ? ids[i] : i;
    if (row < 0 || row >= parameter.n_rows) continue;
    rows[n] = PendingRow{(int32_t)row, parameter.last_step[row]};
    n += parameter.last_step[row] != now;
    parameter.last_step[row] = now;
  }
  const PendingRows pending{parameter, powers_of(parameter, powers.data()), rows.data(), n};
  parallel_for(n_threads, n_threads, [&](int64_t part) { apply_pending_part(pending, part, n_threads); });
  if (!ids) {
    memset(parameter.last_step, 0, parameter.n_rows * sizeof(int32_t));
    parameter.n_logged = 0;
  }
}

// Before a step: makes sure that the log has room for it.
static void make_room_in_log(Parameter &parameter, int64_t n_threads) {
  if (parameter.n_logged == parameter.max_logged) sync_rows(parameter, nullptr, 0, n_threads);
}

// After a step: logs it, and adds it to the pending updates of the rows that had no gradient in it.
static void log_step(int64_t rule, Parameter &parameter) {
  if (parameter.decay_log) {
    const double b1 = parameter.momentum, b2 = parameter.decay, n = *parameter.n_steps, root = sqrt(1 - pow(b2, n));
    const double keep = rule == ADAMW ? 1 - parameter.learning_rate * parameter.weight_decay : 1;
    double w = parameter.learning_rate * root / (1 - pow(b1, n)), w_e = w * parameter.eps * root;
    double w_e_e = w_e * parameter.eps * root;
    DecayedUpdate *log = (DecayedUpdate *)parameter.decay_log;
    log[parameter.n_logged] = DecayedUpdate{1, 0, 0, 0};
    for (int64_t step = parameter.n_logged; step >= 0; step--) {
      w *= b1 / sqrt(b2);
      w_e *= b1 / b2;
      w_e_e *= b1 / (b2 * sqrt(b2));
      const DecayedUpdate before = log[step];
      log[step] = DecayedUpdate{keep * before.keep, keep * before.w + w, keep * before.w_e + w_e, keep * before.w_e_e + w_e_e};
    }
  }
  parameter.n_logged++;
}

}  // namespace ISA
}  // namespace seqclf
