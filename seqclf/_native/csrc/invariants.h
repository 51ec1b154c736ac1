// What the kernels rely on and do not look at: a call that breaks it reads or writes beyond some memory. The build with
// sanitizers looks, at every call; in other builds `check` does nothing.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "abi.h"

namespace seqclf {

template <class Call> static inline void check(const Call &) {}

#if SEQCLF_CHECK_CALLS
static void require(bool holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "seqclf: a call breaks what the kernels rely on: %s\n", what);
  abort();
}

static void all_within(const char *what, const int64_t *values, int64_t n, int64_t end) {
  for (int64_t i = 0; i < n; i++) require(values[i] >= 0 && values[i] < end, what);
}

static void rising_from_zero(const char *what, const int64_t *offsets, int64_t n) {
  require(offsets[0] == 0, what);
  for (int64_t i = 0; i < n; i++) require(offsets[i] <= offsets[i + 1], what);
}

// The number of steps.
static int64_t check_batch(const Batch &batch) {
  require(batch.n_rows >= 0 && batch.max_length >= 0, "sizes of a batch");
  if (batch.max_length == 0) return 0;
  rising_from_zero("time_offsets", batch.time_offsets, batch.max_length);
  int64_t before = batch.n_rows;
  for (int64_t time = 0; time < batch.max_length; time++) {
    const int64_t size = batch.batch_sizes[time];
    require(size > 0 && size <= before, "batch_sizes fall from n_rows, and none is 0");
    require(size == batch.time_offsets[time + 1] - batch.time_offsets[time], "time_offsets add up batch_sizes");
    before = size;
  }
  return batch.time_offsets[batch.max_length];
}

static void check_layer(const Layer &layer) {
  require(layer.units > 0 && layer.n_looked_up >= 0 && layer.n_numbers >= 0, "sizes of a layer");
  require(layer.n_directions == 1 || layer.n_directions == 2, "n_directions");
  for (int64_t i = 0; i < layer.n_directions; i++) {
    const Direction &direction = layer.directions[i];
    require(direction.weight_input && direction.weight_recurrent && direction.bias, "weights of a direction");
  }
}

static void check_inputs(const Batch &batch, const Layer &layer, const Inputs &inputs) {
  const int64_t n = check_batch(batch);
  check_layer(layer);
  require(!n || (layer.n_numbers > 0) == (inputs.numbers != nullptr), "numbers where the weights have columns for them");
  require(!n || (layer.n_looked_up > 0) == (inputs.ids != nullptr), "ids where the weights have columns for them");
  // How many rows a table, or what was projected, has is known to the caller alone.
  const bool is_one_hot = inputs.ids && !inputs.table && !layer.directions[0].projected;
  if (inputs.ids) all_within("ids", inputs.ids, n, is_one_hot ? layer.n_looked_up : INT64_MAX);
}

static inline void check(const Forward &call) { check_inputs(call.batch, call.layer, call.inputs); }
static inline void check(const Backward &call) { check_inputs(call.batch, call.layer, call.inputs); }
static inline void check(const Projection &call) { check_layer(call.layer); }
static inline void check(const Activate &call) { require(call.n % 8 == 0, "n is a multiple of 8"); }

static inline void check(const Gather &call) {
  check_batch(call.batch);
  all_within("data_offsets", call.data_offsets, call.batch.n_rows, INT64_MAX);
}

static inline void check(const TableLookUp &call) {
  check_batch(call.batch);
  all_within("data_offsets", call.data_offsets, call.batch.n_rows, INT64_MAX);
}

static inline void check(const EmbeddingBackward &call) {
  const int64_t n = check_batch(call.batch);
  all_within("ids", call.ids, n, call.inverse ? INT64_MAX : call.n_vectors);
  for (int64_t step = 0; step < n && call.inverse; step++) {
    const int32_t row = call.inverse[call.ids[step]];
    require(row >= 0 && row < call.n_vectors, "inverse");
  }
}

static inline void check(const Pooling &call) {
  const int64_t n = check_batch(call.batch);
  require(call.batch.max_length == 0 || call.batch.batch_sizes[0] == call.batch.n_rows, "each row that is pooled has a step");
  require(call.kind == MAX || call.kind == MEAN || call.kind == ATTENTION, "kind");
  require(call.kind != ATTENTION || !n || (call.keys && call.query), "keys and query");
}

static inline void check(const PoolingBackward &call) {
  const int64_t n = check_batch(call.batch);
  require(call.kind == MAX || call.kind == MEAN, "kind");
  for (int64_t i = 0; i < call.batch.n_rows * call.n_features && call.kind == MAX; i++)
    require(call.chosen[i] >= 0 && call.chosen[i] < n, "chosen");
}

static inline void check(const AttentionBackward &call) { check_batch(call.batch); }

static void columns_within(const char *what, const int64_t *offsets, const int32_t *columns, int64_t n, int64_t end) {
  rising_from_zero(what, offsets, n);
  for (int64_t i = 0; i < offsets[n]; i++) require(columns[i] >= 0 && columns[i] < end, what);
}

static inline void check(const CountEntries &call) {
  rising_from_zero("offsets", call.offsets, call.n_rows);
  rising_from_zero("room", call.room, call.n_rows);
  if (call.known_offsets) {
    columns_within("known_columns", call.known_offsets, call.known_columns, call.n_known, call.n_columns);
    columns_within("new_columns", call.new_offsets, call.new_columns, call.n_new, call.n_columns);
  }
  for (int64_t row = 0; row < call.n_rows; row++) {
    int64_t room = call.room[row + 1] - call.room[row];
    for (int64_t i = call.offsets[row]; i < call.offsets[row + 1]; i++) {
      const int64_t number = call.numbers[i], in_new = number - call.n_known;
      if (!call.known_offsets) {
        require(number < call.n_columns, "numbers");
        room--;
      } else {
        require(number >= 0 && in_new < call.n_new, "numbers");
        const int64_t *ends = in_new < 0 ? call.known_offsets + number : call.new_offsets + in_new;
        room -= ends[1] - ends[0];
      }
    }
    require(room >= 0, "room");
  }
}

static inline void check(const SparseLinear &call) {
  columns_within("columns", call.offsets, call.columns, call.n_rows, call.n_columns);
}

static inline void check(const LinearModels &call) {
  rising_from_zero("offsets", call.offsets, call.n_rows);
  for (int64_t i = 0; i < call.offsets[call.n_rows]; i++)
    require(call.features[i] >= 0 && call.features[i] < call.n_features, "features");
  all_within("fold", call.fold, call.n_rows, call.n_folds > 0 ? call.n_folds : 1);
  for (int64_t i = 0; i < call.max_epochs * call.n_rows; i++)
    require(call.order[i] >= 0 && call.order[i] < call.n_rows, "order");
}

static inline void check(const Convolutions &call) {
  rising_from_zero("offsets", call.offsets, call.n_series);
  rising_from_zero("channel_offsets", call.channel_offsets, call.n_convolutions);
  rising_from_zero("bias_offsets", call.bias_offsets, call.n_convolutions);
  all_within("channels", call.channels, call.channel_offsets[call.n_convolutions], call.n_channels);
  require(call.bias_offsets[call.n_convolutions] == call.n_biases, "n_biases");
}
#endif

}  // namespace seqclf
