// How all parameters move after a batch: one pass for the norm of the gradients, if that is held down, and one for the rest.
// Compiled like recurrence/forward.cpp.
#include <math.h>

#include "aligned_buffer.h"
#include "lazy_rows.h"
#include "parallel.h"
#include "simd.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Neither of these depends on the number of threads, since the sum of squares is taken part by part and block by block.
// A part of the work: its values, gradients and moments are 128 kB, which the second-level cache holds. Parts of 1,024 to
// 131,072 numbers took the same time on one processor.
static const int64_t PART = 8192;
// Numbers of a block of a sum. Its squares are added up as floats, so a block is short: 32 squares for each running sum.
static const int64_t BLOCK = 1024;

// What a rule reads of one parameter in one step.
struct Factors {
  float scale;                    // of the gradient
  float rate, weight_decay, eps;  // weight_decay: of the kind that is part of the gradient
  float keep;                     // of the values, with the kind that is not
  float momentum, fresh, decay, square;
  float root;          // of s, to free it of its bias
  DecayPowers powers;  // for lazily updated rows
};

static bool touches_all(const Step &call, const Parameter &parameter) {
  const bool leaves_alone = (call.rule == SGD || call.rule == ADAGRAD) && parameter.weight_decay == 0;
  return !parameter.sparse || !(leaves_alone || is_lazy(parameter));
}

// `n` values beside one another; without GRADIENT their gradient is zero.
template <int RULE, bool GRADIENT>
static inline void move(const Factors &by, float *__restrict values, float *__restrict mean, float *__restrict square,
                        const float *__restrict gradient, int64_t n) {
  const Factors f = by;
  for (int64_t k = 0; k < n; k++) {
    float value = values[k], g = f.weight_decay != 0 ? f.weight_decay * value : 0.0f;  // 0 times infinity is no number
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
      const float m = mean[k] + f.fresh * (g - mean[k]), s = f.decay * square[k] + f.square * (g * g);
      mean[k] = m;
      square[k] = s;
      value = f.keep * value - f.rate * (m / (sqrtf(s) * f.root + f.eps));
    }
    values[k] = value;
  }
}

// The same for numbers that begin at `from`, and whose gradient begins at `gradient`.
template <int RULE, bool GRADIENT>
static inline void move_at(const Factors &by, const Parameter &parameter, int64_t from, const float *gradient, int64_t n) {
  move<RULE, GRADIENT>(by, parameter.values + from, parameter.mean ? parameter.mean + from : nullptr,
                       parameter.square ? parameter.square + from : nullptr, gradient, n);
}

// How many rows from `touched` on stand beside one another, up to `end`.
static inline int64_t run_of(const int64_t *rows, int64_t touched, int64_t end) {
  int64_t n = 1;
  while (touched + n < end && rows[touched + n] == rows[touched] + n) n++;
  return n;
}

// The first of the rows with a gradient that is `row` or beyond it.
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

// The touched rows from `first` to `end`, and no other.
template <int RULE> static void move_touched(const Factors &by, const Parameter &parameter, int64_t first, int64_t end) {
  const int64_t dim = parameter.dim;
  for (int64_t touched = first; touched < end;) {
    const int64_t row = parameter.rows[touched];
    const float *gradient = parameter.gradient + touched * dim;
    if (touched + PREFETCH_DISTANCE < end) prefetch_row(parameter, parameter.rows[touched + PREFETCH_DISTANCE]);
    if (is_lazy(parameter)) {
      begin_row(parameter, by.powers, row);
      move_at<RULE, true>(by, parameter, row * dim, gradient, dim);
      touched++;
    } else {
      const int64_t n = run_of(parameter.rows, touched, end);
      move_at<RULE, true>(by, parameter, row * dim, gradient, n * dim);
      touched += n;
    }
  }
}

// All rows from `first` to `end`.
template <int RULE> static void move_rows(const Factors &by, const Parameter &parameter, int64_t first, int64_t end) {
  const int64_t dim = parameter.dim, last = first_from(parameter, end);
  int64_t touched = first_from(parameter, first);
  for (int64_t row = first; row < end;) {
    const int64_t next = touched < last ? parameter.rows[touched] : end;
    if (row < next) move_at<RULE, false>(by, parameter, row * dim, nullptr, (next - row) * dim);
    row = next;
    if (touched < last) {
      const int64_t n = run_of(parameter.rows, touched, last);
      move_at<RULE, true>(by, parameter, row * dim, parameter.gradient + touched * dim, n * dim);
      row += n;
      touched += n;
    }
  }
}

// The work of a call: parts of parameters, one after the other.
struct Parts {
  const Step &call;
  const Factors *factors;
  double *sums;           // of the squares of each part's gradients
  const int64_t *starts;  // (n_parameters + 1,) each one's first part

  int64_t parameter_of(int64_t part) const {
    int64_t i = 0;
    while (starts[i + 1] <= part) i++;
    return i;
  }
};

// What a parameter is cut into: numbers, or rows if it has them.
static int64_t n_pieces(const Step &call, const Parameter &parameter) {
  if (!parameter.sparse) return parameter.n_rows * parameter.dim;
  return touches_all(call, parameter) ? parameter.n_rows : parameter.n_touched;
}

static int64_t pieces_of_a_part(const Parameter &parameter) {
  return !parameter.sparse ? PART : parameter.dim < PART ? PART / (parameter.dim > 0 ? parameter.dim : 1) : 1;
}

template <int RULE> static void move_part(const Parts &parts, int64_t part) {
  const int64_t i = parts.parameter_of(part);
  const Parameter &parameter = parts.call.parameters[i];
  const int64_t size = pieces_of_a_part(parameter), n = n_pieces(parts.call, parameter);
  const int64_t first = (part - parts.starts[i]) * size, end = first + size < n ? first + size : n;
  if (!parameter.sparse)
    move_at<RULE, true>(parts.factors[i], parameter, first, parameter.gradient + first, end - first);
  else if (touches_all(parts.call, parameter))
    move_rows<RULE>(parts.factors[i], parameter, first, end);
  else
    move_touched<RULE>(parts.factors[i], parameter, first, end);
}

static double sum_of_squares(const float *p, int64_t n) {
  double sum = 0;
  for (int64_t first = 0; first < n; first += BLOCK) {
    const int64_t end = first + BLOCK < n ? first + BLOCK : n;
    v8 sums[4] = {};  // four, so that no addition waits for the one before it
    int64_t k = first;
    for (; k + 32 <= end; k += 32)
      for (int i = 0; i < 4; i++) sums[i] += load(p + k + 8 * i) * load(p + k + 8 * i);
    const v8 all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    for (int i = 0; i < 8; i++) sum += all[i];
    for (; k < end; k++) sum += p[k] * p[k];
  }
  return sum;
}

static void square_part(const Parts &parts, int64_t part) {
  const int64_t i = parts.parameter_of(part);
  const Parameter &parameter = parts.call.parameters[i];
  const int64_t first = (part - parts.starts[i]) * PART, n = parameter.n_touched * parameter.dim;
  parts.sums[part] = sum_of_squares(parameter.gradient + first, first + PART < n ? PART : n - first);
}

static int64_t parts_for(int64_t n, int64_t size) { return (n + size - 1) / size; }

// What the gradients are multiplied by: not a number if they are not numbers.
static float scale_of(const Step &call) {
  if (call.max_norm == INFINITY) return 1;
  Buffer<int64_t> starts(call.n_parameters + 1);
  for (int64_t i = 0; i < call.n_parameters; i++)
    starts[i + 1] = starts[i] + parts_for(call.parameters[i].n_touched * call.parameters[i].dim, PART);
  const int64_t n = starts[call.n_parameters];
  Buffer<double> sums(n);
  const Parts parts{call, nullptr, sums.data(), starts.data()};
  parallel_for(call.n_threads, n, [&](int64_t part) { square_part(parts, part); });
  double sum = 0;
  for (int64_t part = 0; part < n; part++) sum += sums[part];
  const double scale = call.max_norm / (sqrt(sum) + 1e-6);  // as torch's clip_grad_norm_ has it
  return scale > 1 ? 1.0f : (float)scale;
}

static Factors factors_of(const Step &call, const Parameter &parameter, float scale) {
  Factors f = {};
  const double rate = parameter.learning_rate, momentum = parameter.momentum, decay = parameter.decay;
  f.scale = scale;
  f.rate = (float)rate;
  f.weight_decay = call.rule == ADAMW ? 0.0f : (float)parameter.weight_decay;
  f.keep = call.rule == ADAMW ? (float)(1 - rate * parameter.weight_decay) : 1.0f;
  f.eps = (float)parameter.eps;
  f.momentum = (float)momentum;
  f.fresh = (float)(1 - momentum);
  f.decay = call.rule == ADAGRAD ? 1.0f : (float)decay;
  f.square = call.rule == ADAGRAD ? 1.0f : (float)(1 - decay);
  if (call.rule == ADAM || call.rule == ADAMW) {
    const double n = *parameter.n_steps;
    f.rate = (float)(rate / (1 - pow(momentum, n)));
    f.root = (float)(1 / sqrt(1 - pow(decay, n)));
  }
  return f;
}

static bool rows_rise(const Parameter &parameter) {
  if (!parameter.sparse) return true;
  for (int64_t i = 0; i < parameter.n_touched; i++)
    if (parameter.rows[i] <= (i ? parameter.rows[i - 1] : -1) || parameter.rows[i] >= parameter.n_rows) return false;
  return true;
}

bool optimize(const Step &call) {
  const int64_t n = call.n_parameters;
  int64_t n_numbers = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!rows_rise(call.parameters[i])) return false;
    n_numbers += room_for_powers(call.parameters[i]);
  }
  const float scale = scale_of(call);
  Buffer<int64_t> starts(n + 1);
  Buffer<Factors> factors(n);
  Buffer<double> numbers(n_numbers);
  // What needs memory comes first: after that all parameters move, or none.
  for (int64_t i = 0; i < n; i++)
    if (is_lazy(call.parameters[i])) make_room_in_log(call.parameters[i], call.n_threads);
  double *unused = numbers.data();
  for (int64_t i = 0; i < n; i++) {
    Parameter &parameter = call.parameters[i];
    if (parameter.n_steps) *parameter.n_steps += 1;
    factors[i] = factors_of(call, parameter, scale);
    if (is_lazy(parameter)) factors[i].powers = powers_of(parameter, unused);
    unused += room_for_powers(parameter);
    starts[i + 1] = starts[i] + parts_for(n_pieces(call, parameter), pieces_of_a_part(parameter));
  }
  static void (*const moves[])(const Parts &, int64_t) = {move_part<SGD>,     move_part<NESTEROV>, move_part<RMSPROP>,
                                                          move_part<ADAGRAD>, move_part<ADAM>,     move_part<ADAMW>};
  const Parts parts{call, factors.data(), nullptr, starts.data()};
  parallel_for(call.n_threads, starts[n], [&](int64_t part) { moves[call.rule](parts, part); });
  for (int64_t i = 0; i < n; i++)
    if (is_lazy(call.parameters[i])) log_step(call.rule, call.parameters[i]);
  return true;
}

void sync_lazy_rows(const SyncLazyRows &call) { sync_rows(*call.parameter, call.ids, call.n_ids, call.n_threads); }

}  // namespace ISA
}  // namespace seqclf
