// Many L2-regularised linear models of the same sparse rows, by dual coordinate descent.
// seqclf/_label_features/linear_models.py has the equations and the reference implementation. Compiled like
// recurrence/forward.cpp.
//
// Each model is a lane of a vector, and a block of models has one vector of weights per feature, so the weights of a feature
// are loaded once for all models of the block. The models are independent of each other: the number of threads does not change
// the result.
#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "simd.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

// Weight matrices up to this size are assumed to be in the caches and are not prefetched. On one processor with a cache of 32
// MB, prefetching saved a sixth of the time with matrices of 24 MB and more, and nothing with smaller ones. In an earlier
// measurement it slowed small ones down by a quarter.
static const int64_t MAX_CACHED_BYTES = 8 << 20;

// The features of a row.
struct SparseRow {
  const int32_t *features;
  const float *values;
  int64_t length;

  SparseRow(const LinearModels &call, int64_t row)
      : features(call.features + call.offsets[row]), values(call.values + call.offsets[row]),
        length(call.offsets[row + 1] - call.offsets[row]) {}
};

template <class V> static inline bool any(V a) {
  uint32_t found = 0;
  for (int lane = 0; lane < lanes<V>; lane++) found |= a[lane] != 0;
  return found;
}

// The models of one vector: N models, one per lane.
template <class V> class ModelBlock {
 public:
  ModelBlock(const LinearModels &call, const float *norms, int64_t block)
      : call_(call), norms_(norms), first_model_(block * N), weights_(call.n_features * N), state_(call.n_rows * 2 * N),
        updatable_(call.n_folds * N) {
    for (int lane = 0; lane < N; lane++) {
      if (!exists(lane)) continue;
      for (int64_t fold = 0; fold < call.n_folds; fold++) updatable_[fold * N + lane] = version(lane) != fold + 1;
      for (int64_t row = 0; row < call.n_rows; row++)
        state_[(2 * row + 1) * N + lane] = call.targets[row * call.n_outputs + output(lane)];
    }
  }

  void run() {
    V gain = {};
    int64_t n_running = N;
    for (int64_t epoch = 0; epoch < call_.max_epochs && n_running; epoch++) {
      const V epoch_gain = run_epoch(call_.order + epoch * call_.n_rows);
      gain += epoch_gain;
      n_running = 0;
      for (int lane = 0; lane < N; lane++) {
        if (epoch_gain[lane] > (float)call_.tolerance * gain[lane])
          n_running++;
        else
          for (int64_t fold = 0; fold < call_.n_folds; fold++) updatable_[fold * N + lane] = 0;
      }
    }
    write();
  }

 private:
  static const int N = lanes<V>;
  const LinearModels &call_;
  const float *norms_;
  const int64_t first_model_;
  const Buffer<float> weights_;    // (n_features, N)
  const Buffer<float> state_;      // (n_rows, 2, N) the dual variables and the targets
  const Buffer<float> updatable_;  // (n_folds, N) 1 if the rows of the fold update the model, or else 0
  V intercept_ = {};

  // The models of an output are adjacent: version 0 is fitted on all rows, version k + 1 on the rows outside fold k.
  bool exists(int lane) const { return output(lane) < call_.n_outputs; }
  int64_t output(int lane) const { return (first_model_ + lane) / (call_.n_folds + 1); }
  int64_t version(int lane) const { return (first_model_ + lane) % (call_.n_folds + 1); }

  // The row whose weights `decide` prefetches; empty if the weights are in the caches.
  SparseRow prefetched(int64_t index) const {
    SparseRow row(call_, index);
    if (call_.n_features * (int64_t)sizeof(V) <= MAX_CACHED_BYTES) row.length = 0;
    return row;
  }

  float *weights_of(int32_t feature) const { return weights_.data() + (int64_t)feature * N; }

  // The decision values of a row; prefetches the weights of the next row.
  V decide(const SparseRow &row, const SparseRow &next) const {
    V even = intercept_, odd = {};  // two sums, so that their additions overlap
    int64_t i = 0;
    for (; i + 1 < row.length; i += 2) {
      if (i + 1 < next.length) {
        __builtin_prefetch(weights_of(next.features[i]), 1);
        __builtin_prefetch(weights_of(next.features[i + 1]), 1);
      }
      even += broadcast<V>(row.values[i]) * load<V>(weights_of(row.features[i]));
      odd += broadcast<V>(row.values[i + 1]) * load<V>(weights_of(row.features[i + 1]));
    }
    if (i < row.length) even += broadcast<V>(row.values[i]) * load<V>(weights_of(row.features[i]));
    for (; i < next.length; i++) __builtin_prefetch(weights_of(next.features[i]), 1);
    return even + odd;
  }

  // Updates the dual variable of each row, in this order. Returns the gain of the dual objective of each model.
  V run_epoch(const int32_t *order) {
    V gain = {};
    const V zero = {}, half = broadcast<V>(0.5f);
    for (int64_t i = 0; i < call_.n_rows; i++) {
      const int64_t index = order[i];
      const SparseRow row(call_, index), next = prefetched(order[i + 1 < call_.n_rows ? i + 1 : i]);
      const float slack = call_.slack[index], curvature = norms_[index] + slack;
      float *state = state_.data() + index * 2 * N;
      const V dual = load<V>(state), target = load<V>(state + N);
      const V gradient = decide(row, next) - target + broadcast<V>(slack) * dual;
      V new_dual = dual - gradient * broadcast<V>(1 / curvature);
      if (call_.hinge) new_dual = new_dual * target > zero ? new_dual : zero;
      const V change = (new_dual - dual) * load<V>(updatable_.data() + call_.fold[index] * N);
      if (!any(change)) continue;
      gain -= change * (gradient + half * broadcast<V>(curvature) * change);
      store(state, dual + change);
      intercept_ += change;
      for (int64_t k = 0; k < row.length; k++) {
        float *weights = weights_of(row.features[k]);
        store(weights, load<V>(weights) + broadcast<V>(row.values[k]) * change);
      }
    }
    return gain;
  }

  void write() const {
    for (int lane = 0; lane < N; lane++) {
      if (!exists(lane) || version(lane) != 0) continue;
      for (int64_t feature = 0; feature < call_.n_features; feature++)
        call_.coef[feature * call_.n_outputs + output(lane)] = weights_[feature * N + lane];
      call_.intercept[output(lane)] = intercept_[lane];
    }
    double sums[N] = {};
    int64_t n_fitted[N] = {};
    for (int64_t index = 0; index < call_.n_rows; index++) {
      const V decision = decide(SparseRow(call_, index), prefetched(index + 1 < call_.n_rows ? index + 1 : index));
      for (int lane = 0; lane < N; lane++) {
        if (version(lane) != call_.fold[index] + 1) {
          sums[lane] += decision[lane];
          n_fitted[lane]++;
        } else if (exists(lane)) {
          call_.held_out[index * call_.n_outputs + output(lane)] = decision[lane];
        }
      }
    }
    for (int lane = 0; lane < N; lane++)
      if (exists(lane))
        call_.centers[version(lane) * call_.n_outputs + output(lane)] =
            n_fitted[lane] ? (float)(sums[lane] / n_fitted[lane]) : 0;
  }
};

template <class V> static void fit_blocks(const LinearModels &call) {
  const Buffer<float> norms(call.n_rows);
  for (int64_t index = 0; index < call.n_rows; index++) {
    const SparseRow row(call, index);
    double norm = 1;  // the constant feature
    for (int64_t i = 0; i < row.length; i++) norm += (double)row.values[i] * row.values[i];
    norms[index] = (float)norm;
  }
  const int64_t n_models = call.n_outputs * (call.n_folds + 1);
  parallel_for(call.n_threads, (n_models + lanes<V> - 1) / lanes<V>,
               [&](int64_t block) { ModelBlock<V>(call, norms.data(), block).run(); });
}

// The six models of one output with five folds fit into eight lanes, which need half the memory traffic of sixteen.
void fit_linear_models(const LinearModels &call) {
  if (call.n_outputs * (call.n_folds + 1) <= lanes<v8>)
    fit_blocks<v8>(call);
  else
    fit_blocks<v16>(call);
}

}  // namespace ISA
}  // namespace seqclf
