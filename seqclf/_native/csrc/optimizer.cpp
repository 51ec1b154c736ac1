// Updates all parameters after a batch: one pass for the norm of the gradients, if they are clipped, and one for the updates.
// Compiled like recurrence/forward.cpp.
#include <math.h>

#include "aligned_buffer.h"
#include "lazy_rows.h"
#include "parallel.h"
#include "simd.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Neither of these sizes depends on the number of threads, because squares are summed per block and per partition.
// Values of a partition: with their gradients and moments they take 128 kB, which fits in the second-level cache. On one
// processor partitions of 1,024 to 131,072 values took the same time.
static const int64_t PARTITION_SIZE = 8192;
// Values of a block of the sum of squares. A block is summed in float, so it is short: 32 squares in each running sum.
static const int64_t BLOCK = 1024;

// The coefficients of an update of one parameter.
struct Factors {
  float scale;                    // of the gradient
  float rate, weight_decay, eps;  // weight_decay: the one that is added to the gradient
  float value_factor;             // of the values: decoupled weight decay
  float momentum, one_minus_momentum, decay, square;
  float bias_correction;  // of sqrt(s)
  DecayPowers powers;     // for lazily updated rows
};

static bool updates_every_row(const OptimizerUpdate &call, const Parameter &parameter) {
  const bool skips_rows = (call.rule == SGD || call.rule == ADAGRAD) && parameter.weight_decay == 0;
  return !parameter.sparse || !(skips_rows || is_lazy(parameter));
}

// Updates `n` contiguous values; without GRADIENT their gradient is zero.
template <int RULE, bool GRADIENT>
static inline void update(const Factors &by, float *__restrict values, float *__restrict mean, float *__restrict square,
                          const float *__restrict gradient, int64_t n) {
  const Factors f = by;
  for (int64_t k = 0; k < n; k++) {
    float value = values[k], g = f.weight_decay != 0 ? f.weight_decay * value : 0.0f;  // 0 times infinity is NaN
    if (GRADIENT) g += gradient[k] * f.scale;
    if (RULE == SGD) {
      value -= f.rate * g;
    } else if (RULE == NESTEROV) {
      const float m = f.momentum * mean[k] + g;
      mean[k] = m;
      value -= f.rate * (g + f.momentum * m);
    } else if (RULE == RMSPROP || RULE == ADAGRAD) {
      const float s = f.decay * square[k] + f.square * (g * g);
      square[k] = s;
      value -= f.rate * (g / (sqrtf(s) + f.eps));
    } else {
      const float m = mean[k] + f.one_minus_momentum * (g - mean[k]), s = f.decay * square[k] + f.square * (g * g);
      mean[k] = m;
      square[k] = s;
      value = f.value_factor * value - f.rate * (m / (sqrtf(s) * f.bias_correction + f.eps));
    }
    values[k] = value;
  }
}

// The same for `n` values of a parameter from offset `from` on.
template <int RULE, bool GRADIENT>
static inline void update_at(const Factors &by, const Parameter &parameter, int64_t from, const float *gradient, int64_t n) {
  update<RULE, GRADIENT>(by, parameter.values + from, parameter.mean ? parameter.mean + from : nullptr,
                         parameter.square ? parameter.square + from : nullptr, gradient, n);
}

// The number of contiguous rows from `touched` on, up to `end`.
static inline int64_t contiguous_run(const int64_t *rows, int64_t touched, int64_t end) {
  int64_t n = 1;
  while (touched + n < end && rows[touched + n] == rows[touched] + n) n++;
  return n;
}

// The index of the first touched row that is at least `row`.
static int64_t first_from(const Parameter &parameter, int64_t row) {
  int64_t first = 0, last = parameter.n_touched;
  while (first < last) {
    const int64_t middle = (first + last) / 2;
    if (parameter.rows[middle] < row)
      first = middle + 1;
    else
      last = middle;
  }
  return first;
}

// Updates only the touched rows, from index `first` to below `end`.
template <int RULE> static void update_touched(const Factors &by, const Parameter &parameter, int64_t first, int64_t end) {
  const int64_t dim = parameter.dim;
  for (int64_t touched = first; touched < end;) {
    const int64_t row = parameter.rows[touched];
    const float *gradient = parameter.gradient + touched * dim;
    if (touched + PREFETCH_DISTANCE < end) prefetch_row(parameter, parameter.rows[touched + PREFETCH_DISTANCE]);
    if (is_lazy(parameter)) {
      begin_row(parameter, by.powers, row);
      update_at<RULE, true>(by, parameter, row * dim, gradient, dim);
      touched++;
    } else {
      const int64_t n = contiguous_run(parameter.rows, touched, end);
      update_at<RULE, true>(by, parameter, row * dim, gradient, n * dim);
      touched += n;
    }
  }
}

// Updates all rows from `first` to below `end`.
template <int RULE> static void update_rows(const Factors &by, const Parameter &parameter, int64_t first, int64_t end) {
  const int64_t dim = parameter.dim, last = first_from(parameter, end);
  int64_t touched = first_from(parameter, first);
  for (int64_t row = first; row < end;) {
    const int64_t next = touched < last ? parameter.rows[touched] : end;
    if (row < next) update_at<RULE, false>(by, parameter, row * dim, nullptr, (next - row) * dim);
    row = next;
    if (touched < last) {
      const int64_t n = contiguous_run(parameter.rows, touched, last);
      update_at<RULE, true>(by, parameter, row * dim, parameter.gradient + touched * dim, n * dim);
      row += n;
      touched += n;
    }
  }
}

// The partitions of all parameters of a call, one parameter after the other.
struct Partitions {
  const OptimizerUpdate &call;
  const Factors *factors;
  double *sums;           // of the squared gradients of each partition
  const int64_t *starts;  // (n_parameters + 1,) the first partition of each parameter

  int64_t parameter_of(int64_t partition) const {
    int64_t i = 0;
    while (starts[i + 1] <= partition) i++;
    return i;
  }
};

// The size of a parameter that is divided into partitions: values, or rows if the gradient is sparse.
static int64_t partitioned_size(const OptimizerUpdate &call, const Parameter &parameter) {
  if (!parameter.sparse) return parameter.n_rows * parameter.dim;
  return updates_every_row(call, parameter) ? parameter.n_rows : parameter.n_touched;
}

static int64_t partition_size(const Parameter &parameter) {
  return !parameter.sparse                ? PARTITION_SIZE
         : parameter.dim < PARTITION_SIZE ? PARTITION_SIZE / (parameter.dim > 0 ? parameter.dim : 1)
                                          : 1;
}

template <int RULE> static void update_partition(const Partitions &partitions, int64_t partition) {
  const int64_t i = partitions.parameter_of(partition);
  const Parameter &parameter = partitions.call.parameters[i];
  const int64_t size = partition_size(parameter), n = partitioned_size(partitions.call, parameter);
  const int64_t first = (partition - partitions.starts[i]) * size, end = first + size < n ? first + size : n;
  if (!parameter.sparse)
    update_at<RULE, true>(partitions.factors[i], parameter, first, parameter.gradient + first, end - first);
  else if (updates_every_row(partitions.call, parameter))
    update_rows<RULE>(partitions.factors[i], parameter, first, end);
  else
    update_touched<RULE>(partitions.factors[i], parameter, first, end);
}

static double sum_of_squares(const float *p, int64_t n) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += BLOCK) {
    const int64_t end = first + BLOCK < n ? first + BLOCK : n;
    v8 sums[4] = {};  // four, so that their additions overlap
    int64_t k = first;
    for (; k + 32 <= end; k += 32)
      for (int i = 0; i < 4; i++) sums[i] += load(p + k + 8 * i) * load(p + k + 8 * i);
    const v8 all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (int i = 0; i < 8; i++) sum += all[i];
    for (; k < end; k++) sum += p[k] * p[k];
  }
  return sum;
}

static void square_partition(const Partitions &partitions, int64_t partition) {
  const int64_t i = partitions.parameter_of(partition);
  const Parameter &parameter = partitions.call.parameters[i];
  const int64_t first = (partition - partitions.starts[i]) * PARTITION_SIZE, n = parameter.n_touched * parameter.dim;
  partitions.sums[partition] =
      sum_of_squares(parameter.gradient + first, first + PARTITION_SIZE < n ? PARTITION_SIZE : n - first);
}

static int64_t ceil_div(int64_t n, int64_t size) { return (n + size - 1) / size; }

// The factor of the gradients for clipping; NaN if they are not finite.
static float scale_of(const OptimizerUpdate &call) {
  if (call.max_norm == INFINITY) return 1;
  Buffer<int64_t> starts(call.n_parameters + 1);
  for (int64_t i = 0; i < call.n_parameters; i++)
    starts[i + 1] = starts[i] + ceil_div(call.parameters[i].n_touched * call.parameters[i].dim, PARTITION_SIZE);
  const int64_t n = starts[call.n_parameters];
  Buffer<double> sums(n);
  const Partitions partitions{call, nullptr, sums.data(), starts.data()};
  parallel_for(call.n_threads, n, [&](int64_t partition) { square_partition(partitions, partition); });
  double sum = 0;
  for (int64_t partition = 0; partition < n; partition++) sum += sums[partition];
  const double scale = call.max_norm / (sqrt(sum) + 1e-6);  // as in torch's clip_grad_norm_
  return scale > 1 ? 1.0f : (float)scale;
}

static Factors factors_of(const OptimizerUpdate &call, const Parameter &parameter, float scale) {
  Factors f = {};
  const double rate = parameter.learning_rate, momentum = parameter.momentum, decay = parameter.decay;
  f.scale = scale;
  f.rate = (float)rate;
  f.weight_decay = call.rule == ADAMW ? 0.0f : (float)parameter.weight_decay;
  f.value_factor = call.rule == ADAMW ? (float)(1 - rate * parameter.weight_decay) : 1.0f;
  f.eps = (float)parameter.eps;
  f.momentum = (float)momentum;
  f.one_minus_momentum = (float)(1 - momentum);
  f.decay = call.rule == ADAGRAD ? 1.0f : (float)decay;
  f.square = call.rule == ADAGRAD ? 1.0f : (float)(1 - decay);
  if (call.rule == ADAM || call.rule == ADAMW) {
    const double n = *parameter.n_updates;
    f.rate = (float)(rate / (1 - pow(momentum, n)));
    f.bias_correction = (float)(1 / sqrt(1 - pow(decay, n)));
  }
  return f;
}

static bool rows_are_ascending(const Parameter &parameter) {
  if (!parameter.sparse) return true;
  for (int64_t i = 0; i < parameter.n_touched; i++)
    if (parameter.rows[i] <= (i ? parameter.rows[i - 1] : -1) || parameter.rows[i] >= parameter.n_rows) return false;
  return true;
}

bool optimize(const OptimizerUpdate &call) {
  const int64_t n = call.n_parameters;
  int64_t n_powers = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!rows_are_ascending(call.parameters[i])) return false;
    n_powers += powers_capacity(call.parameters[i]);
  }
  const float scale = scale_of(call);
  Buffer<int64_t> starts(n + 1);
  Buffer<Factors> factors(n);
  Buffer<double> powers(n_powers);
  // All allocations come before the first change: either all parameters are updated, or none.
  for (int64_t i = 0; i < n; i++)
    if (is_lazy(call.parameters[i])) reserve_log(call.parameters[i], call.n_threads);
  double *unused = powers.data();
  for (int64_t i = 0; i < n; i++) {
    Parameter &parameter = call.parameters[i];
    if (parameter.n_updates) *parameter.n_updates += 1;
    factors[i] = factors_of(call, parameter, scale);
    if (is_lazy(parameter)) factors[i].powers = powers_of(parameter, unused);
    unused += powers_capacity(parameter);
    starts[i + 1] = starts[i] + ceil_div(partitioned_size(call, parameter), partition_size(parameter));
  }
  static void (*const updates[])(const Partitions &, int64_t) = {update_partition<SGD>,     update_partition<NESTEROV>,
                                                                 update_partition<RMSPROP>, update_partition<ADAGRAD>,
                                                                 update_partition<ADAM>,    update_partition<ADAMW>};
  const Partitions partitions{call, factors.data(), nullptr, starts.data()};
  parallel_for(call.n_threads, starts[n], [&](int64_t partition) { updates[call.rule](partitions, partition); });
  for (int64_t i = 0; i < n; i++)
    if (is_lazy(call.parameters[i])) log_update(call.rule, call.parameters[i]);
  return true;
}

void sync_lazy_rows(const SyncLazyRows &call) { sync_rows(*call.parameter, call.ids, call.n_ids, call.n_threads); }

}  // namespace ISA
}  // namespace seqclf
