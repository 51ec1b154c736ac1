// Preconditions of the kernels. A call that violates one can read or write out of bounds. The build with sanitizers checks them
// at every call; in other builds `check` does nothing.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "abi.h"

namespace seqclf {

template <class Call> static inline void check(const Call &) {}

#if SEQCLF_CHECK_CALLS
static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "seqclf: a call violates a precondition of the kernels: %s\n", what);
  abort();
}

static void require_within(const char *what, const int64_t *values, int64_t n, int64_t end) {
  for (int64_t i = 0; i < n; i++) require(values[i] >= 0 && values[i] < end, what);
}

static void require_offsets(const char *what, const int64_t *offsets, int64_t n) {
  require(offsets[0] == 0, what);
  for (int64_t i = 0; i < n; i++) require(offsets[i] <= offsets[i + 1], what);
}

// Returns the number of steps.
static int64_t check_batch(const Batch &batch) {
  require(batch.n_rows >= 0 && batch.max_length >= 0, "sizes of a batch");
  if (batch.max_length == 0) return 0;
  require_offsets("time_offsets", batch.time_offsets, batch.max_length);
  int64_t before = batch.n_rows;
  for (int64_t time = 0; time < batch.max_length; time++) {
    const int64_t size = batch.batch_sizes[time];
    require(size > 0 && size <= before, "batch_sizes are non-increasing from n_rows, and positive");
    require(size == batch.time_offsets[time + 1] - batch.time_offsets[time],
            "time_offsets are the cumulative sums of batch_sizes");
    before = size;
  }
  return batch.time_offsets[batch.max_length];
}

static void check_layer(const Layer &layer) {
  require(layer.units > 0 && layer.n_looked_up >= 0 && layer.n_values >= 0, "sizes of a layer");
  require(layer.n_directions == 1 || layer.n_directions == 2, "n_directions");
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &direction = layer.directions[i];
    require(direction.weight_input && direction.weight_recurrent && direction.bias, "weights of a direction");
  }
}

static void check_inputs(const Batch &batch, const Layer &layer, const Inputs &inputs) {
  const int64_t n = check_batch(batch);
  check_layer(layer);
  require(!n || (layer.n_values > 0) == (inputs.values != nullptr), "values if and only if the weights have columns for them");
  require(!n || (layer.n_looked_up > 0) == (inputs.ids != nullptr), "ids if and only if the weights have columns for them");
  // The number of ids of an embedding, or of a projected one, is not part of the call.
  const bool is_one_hot = inputs.ids && !inputs.embedding && !layer.directions[0].projected;
  if (inputs.ids) require_within("ids", inputs.ids, n, is_one_hot ? layer.n_looked_up : INT64_MAX);
}

static inline void check(const Forward &call) { check_inputs(call.batch, call.layer, call.inputs); }
static inline void check(const Backward &call) { check_inputs(call.batch, call.layer, call.inputs); }
static inline void check(const Projection &call) { check_layer(call.layer); }
static inline void check(const Activate &call) { require(call.n % 8 == 0, "n is a multiple of 8"); }

static inline void check(const Gather &call) {
  check_batch(call.batch);
  require_within("data_offsets", call.data_offsets, call.batch.n_rows, INT64_MAX);
}

static inline void check(const TableLookUp &call) {
  check_batch(call.batch);
  require_within("data_offsets", call.data_offsets, call.batch.n_rows, INT64_MAX);
}

static inline void check(const EmbeddingBackward &call) {
  const int64_t n = check_batch(call.batch);
  require_within("ids", call.ids, n, call.inverse ? INT64_MAX : call.n_vectors);
  for (int64_t step = 0; step < n && call.inverse; step++) {
    const int32_t index = call.inverse[call.ids[step]];
    require(index >= 0 && index < call.n_vectors, "inverse");
  }
}

static inline void check(const Pooling &call) {
  const int64_t n = check_batch(call.batch);
  require(call.batch.max_length == 0 || call.batch.batch_sizes[0] == call.batch.n_rows, "each pooled row has a step");
  require(call.kind == MAX || call.kind == MEAN || call.kind == ATTENTION, "kind");
  require(call.kind != ATTENTION || !n || (call.keys && call.query), "keys and query");
}

static inline void check(const PoolingBackward &call) {
  const int64_t n = check_batch(call.batch);
  require(call.kind == MAX || call.kind == MEAN, "kind");
  for (int64_t i = 0; i < call.batch.n_rows * call.n_features && call.kind == MAX; i++)
    require(call.max_positions[i] >= 0 && call.max_positions[i] < n, "max_positions");
}

static inline void check(const AttentionBackward &call) { check_batch(call.batch); }

static void require_columns(const char *what, const int64_t *offsets, const int32_t *columns, int64_t n, int64_t end) {
  require_offsets(what, offsets, n);
  for (int64_t i = 0; i < offsets[n]; i++) require(columns[i] >= 0 && columns[i] < end, what);
}

static inline void check(const CountEntries &call) {
  require_offsets("offsets", call.offsets, call.n_rows);
  require_offsets("write_offsets", call.write_offsets, call.n_rows);
  if (call.known_offsets) {
    require_columns("known_columns", call.known_offsets, call.known_columns, call.n_known, call.n_columns);
    require_columns("new_columns", call.new_offsets, call.new_columns, call.n_new, call.n_columns);
  }
  for (int64_t row = 0; row < call.n_rows; row++) {
    int64_t capacity = call.write_offsets[row + 1] - call.write_offsets[row];
    for (int64_t i = call.offsets[row]; i < call.offsets[row + 1]; i++) {
      const int64_t id = call.ids[i], new_id = id - call.n_known;
      if (!call.known_offsets) {
        require(id < call.n_columns, "ids");
        capacity--;
      } else {
        require(id >= 0 && new_id < call.n_new, "ids");
        const int64_t *ends = new_id < 0 ? call.known_offsets + id : call.new_offsets + new_id;
        capacity -= ends[1] - ends[0];
      }
    }
    require(capacity >= 0, "write_offsets");
  }
}

static inline void check(const SparseLinear &call) {
  require_columns("columns", call.offsets, call.columns, call.n_rows, call.n_columns);
}

static inline void check(const LinearModels &call) {
  require_offsets("offsets", call.offsets, call.n_rows);
  for (int64_t i = 0; i < call.offsets[call.n_rows]; i++)
    require(call.features[i] >= 0 && call.features[i] < call.n_features, "features");
  require_within("fold", call.fold, call.n_rows, call.n_folds > 0 ? call.n_folds : 1);
  for (int64_t i = 0; i < call.max_epochs * call.n_rows; i++)
    require(call.order[i] >= 0 && call.order[i] < call.n_rows, "order");
}

static inline void check(const Convolutions &call) {
  require_offsets("offsets", call.offsets, call.n_series);
  require_offsets("channel_offsets", call.channel_offsets, call.n_convolutions);
  require_offsets("bias_offsets", call.bias_offsets, call.n_convolutions);
  require_within("channels", call.channels, call.channel_offsets[call.n_convolutions], call.n_channels);
  require(call.bias_offsets[call.n_convolutions] == call.n_biases, "n_biases");
}
#endif

}  // namespace seqclf
