// The plain C interface of the kernels: the structures that Python fills in and passes by address. Nothing here depends on the
// processor.
#pragma once
#include <stdint.h>

#ifdef _WIN32
#define SEQCLF_EXPORT extern "C" __declspec(dllexport)
#else
#define SEQCLF_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// The version of this interface. Add 1 whenever a structure or an entry point changes: Python does not load a library with
// another version.
const int64_t INTERFACE = 3;

// The result of a call that ran out of memory, for every entry point (see entry_points.h).
const int64_t OUT_OF_MEMORY = -2;

// A batch of sequences, time-major, longest first (see _kernels/layout.py). A row is one sequence in this order. All matrices
// are row-major and contiguous.
struct Batch {
  int64_t n_rows, max_length;
  const int64_t *batch_sizes;   // (max_length,) number of rows that have a step at each time; non-increasing
  const int64_t *time_offsets;  // (max_length + 1,) position of the first row of each time
};

// The layout of a cell, as defined in its file in cells/.
struct DescribeCell {
  int64_t cell;  // its code
  // (5,) number of gates, number of slots; then, as 0 or 1, whether it saves slots, has memory, has a recurrent bias
  int64_t *description;
};

// An activation and its slope, elementwise. With n = 0 the call only tests whether the activation exists.
struct Activate {
  int64_t activation;  // its code
  int64_t n;           // a multiple of 8
  const float *inputs;
  float *values, *slopes;
};

// The weights of a layer in one direction. The gates are in torch's order, which the file of each cell states.
struct Direction {
  int64_t reverse;
  const float *weight_input;      // (gates * units, n_looked_up + n_values)
  const float *weight_recurrent;  // (gates * units, units)
  const float *bias;              // (gates * units,)
  const float *bias_recurrent;    // (gates * units,), or null if the cell has none
  const float *projected;         // the projected embedding from a Projection, or null
};

struct Layer {
  int64_t cell;        // a code of cells/list.h
  int64_t activation;  // a code of activations.h
  int64_t units, n_directions;
  int64_t n_looked_up;  // columns of `weight_input` for the ids: the number of ids (one-hot), or the dimension of the embedding
  int64_t n_values;     // columns for the numeric values, after those for the ids
  Direction directions[2];
};

// The inputs of a layer at each step: a token id, numeric values, or both. With an embedding matrix, an id is looked up there
// and the vector is multiplied by the dropout mask of its sequence. Without one, an id is a one-hot vector, or is looked up in
// `Direction::projected`.
struct Inputs {
  const float *values;     // (n_steps, n_values), or null
  const int64_t *ids;      // (n_steps,), or null
  const float *embedding;  // (n_ids, n_looked_up), or null
  const float *mask;       // (n_rows, n_looked_up), or null
};

// `width` below is `units` rounded up to a multiple of 8. Outputs beyond `units` are zero.
struct Forward {
  Batch batch;
  Layer layer;
  Inputs inputs;
  float *outputs;  // (n_steps, n_directions, width)
  float *gates;    // (n_directions, n_steps, width * slots) the cell's slots, saved for backward; or null
  float *memory;   // (n_directions, n_steps, width) saved for backward if the cell has memory; or null
  int64_t n_threads;
};

// The gradients of the weights of a Direction, in the same order.
struct Gradients {
  float *weight_input, *weight_recurrent, *bias, *bias_recurrent;
};

struct Backward {
  Batch batch;
  Layer layer;
  Inputs inputs;                  // as passed to forward
  const float *outputs, *memory;  // as written by forward
  float *gates;  // the same, and overwritten here. With one-hot ids it is scratch memory for a cell that saves no slots
  const float *grad_outputs;  // (n_steps, n_directions * units)
  int64_t grad_stride;        // from step to step in `grad_outputs`
  float *grad_inputs;      // (n_steps, n_looked_up) of the embedded ids, or without an embedding (n_steps, n_values); or null
  Gradients gradients[2];  // of each direction
  int64_t n_threads;
};

// The contribution of each id's embedding to the gates, computed once per id instead of once per step. Prediction uses it when
// there are more steps than ids.
struct Projection {
  Layer layer;
  int64_t n_ids;
  const float *embedding;  // (n_ids, n_looked_up)
  float *projected;        // (n_ids, width * gates)
  int64_t n_threads;
};

// Copies the steps of the data into the order of the batch.
struct Gather {
  Batch batch;
  const int64_t *data_offsets;  // (n_rows,) where the sequence of each row begins in `steps`
  int64_t widens_ids;           // whether the steps are 32-bit ids, which are widened to 64 bits
  int64_t step_bytes;           // bytes of a step to copy; bytes between it and the next step are skipped
  int64_t stride;               // bytes from step to step
  const void *steps;
  void *gathered;
};

// A lookup table in several versions: each entry has `n_channels` values in each version.
struct Table {
  int64_t n_versions, n_entries, n_channels;
  const float *values;  // (n_versions, n_entries, n_channels)
};

// Gathers, for each step and table, the values of the step's entry in the version of the row, in the order of the batch.
struct TableLookUp {
  Batch batch;
  const int64_t *data_offsets;  // (n_rows,) where the sequence of each row begins in `entries`
  const int64_t *versions;      // (n_rows,)
  int64_t n_tables;
  const Table *tables;     // (n_tables,)
  const int32_t *entries;  // (n, n_tables)
  int64_t stride;          // from step to step in `entries`
  float *features;         // (n_steps, n_channels of all tables)
  int64_t n_threads;
};

// The gradient of an embedding matrix: for each id the sum over its steps, each times the mask of its row.
struct EmbeddingBackward {
  Batch batch;
  int64_t dim, n_vectors;
  const int64_t *ids;
  const float *mask;
  const float *grad_vectors;  // (n_steps, dim)
  const int32_t *inverse;     // (n_ids,) from UniqueIds: the index of each id in `grad_embedding`; null: the index is the id
  float *grad_embedding;      // (n_vectors, dim)
  int64_t n_threads;
};

// The distinct ids of a batch.
struct UniqueIds {
  int64_t n_steps, n_ids;
  const int64_t *step_ids;  // (n_steps,)
  int64_t *ids;             // the distinct ids in ascending order; its capacity is one more than the largest possible number
  int32_t *inverse;         // (n_ids,) the index of each id in `ids`; undefined for ids that do not occur
};

enum PoolingKind { MAX = 0, MEAN = 1, ATTENTION = 2 };

// Reduces the vectors of the steps of each row to one vector.
struct Pooling {
  Batch batch;
  int64_t kind, n_features;
  int64_t stride;          // from step to step in `values`
  const float *values;     // (n_steps, n_features)
  const float *keys;       // (n_steps, n_features), attention only: its weights are softmax(keys . query)
  const float *query;      // (n_features,), attention only
  float *pooled;           // (n_rows, n_features)
  int32_t *max_positions;  // (n_rows, n_features), max only, or null: the position of each maximum
  double *scales;          // (n_rows,), attention only, or null: log(sum of exp(keys . query))
  int64_t n_threads;
};

struct PoolingBackward {
  Batch batch;
  int64_t kind, n_features;      // max or mean
  const float *grad_pooled;      // (n_rows, n_features)
  const int32_t *max_positions;  // as written by Pooling
  float *grad_values;            // (n_steps, n_features)
  int64_t n_threads;
};

struct AttentionBackward {
  Batch batch;
  int64_t n_features, stride;  // these and the inputs as in Pooling
  const float *values, *keys, *query, *pooled;
  const double *scales;
  const float *grad_pooled;        // (n_rows, n_features)
  float *grad_values, *grad_keys;  // (n_steps, n_features)
  float *grad_query;               // (n_features,)
  int64_t n_threads;
};

// outputs = values weight' + bias, accumulated in double. The result of a row does not depend on the other rows.
struct Linear {
  int64_t n_rows, n_inputs, n_outputs;
  const float *values;  // (n_rows, n_inputs)
  const float *weight;  // (n_outputs, n_inputs)
  const float *bias;    // (n_outputs,)
  double *outputs;      // (n_rows, n_outputs)
};

// Counts how often each row has each id, or each column that its ids expand to (see _label_features/entry_counts.py). The
// entries of a row are written in the order of their columns, and the rows follow one another without gaps.
struct CountEntries {
  int64_t n_rows, n_columns;
  const int64_t *offsets;  // (n_rows + 1,) where each row begins in `ids`
  // Columns (negative ones are not counted), or ids below n_known + n_new that expand to columns.
  const int32_t *ids;
  int64_t n_known, n_new;        // numbers of ids that expand to columns
  const int64_t *known_offsets;  // (n_known + 1,) where the columns of each id begin; or null: the ids are columns
  const int32_t *known_columns;
  const int64_t *new_offsets;  // (n_new + 1,) the same for the ids from n_known on
  const int32_t *new_columns;
  const int64_t *write_offsets;  // (n_rows + 1,) where each row can write: it has space for each occurrence of a column
  int64_t *lengths;              // (n_rows,) number of distinct columns of each row
  int32_t *columns;              // (write_offsets[n_rows],)
  float *counts;                 // (write_offsets[n_rows],)
  int64_t n_threads;
};

// outputs = rows coef + intercept for sparse rows, accumulated in float in the order of the entries of a row. The result of a
// row does not depend on the other rows.
struct SparseLinear {
  int64_t n_rows, n_columns, n_outputs;
  const int64_t *offsets;  // (n_rows + 1,) where each row begins in the next two
  const int32_t *columns;
  const float *values;
  const float *coef;       // (n_columns, n_outputs)
  const float *intercept;  // (n_outputs,)
  float *outputs;          // (n_rows, n_outputs)
  int64_t n_threads;
};

// L2-regularised linear models of sparse rows (see _label_features/linear_models.py): for each output one model fitted on all
// rows, and for each fold one fitted on the rows of the other folds.
struct LinearModels {
  int64_t n_rows, n_features, n_outputs, n_folds;
  const int64_t *offsets;   // (n_rows + 1,) where each row begins in the next two
  const int32_t *features;  // (n_entries,)
  const float *values;      // (n_entries,)
  const float *targets;     // (n_rows, n_outputs)
  const float *slack;       // (n_rows,) 1 / (2 C) of each row
  const int64_t *fold;      // (n_rows,) from 0
  int64_t hinge;            // 1: squared hinge loss with targets -1 and 1; 0: squared error
  int64_t max_epochs;
  const int32_t *order;  // (max_epochs, n_rows) the order of the rows in each epoch
  double tolerance;      // a model has converged after an epoch that gains at most this fraction of its dual objective
  float *coef;           // (n_features, n_outputs) of the models fitted on all rows
  float *intercept;      // (n_outputs,)
  float *held_out;       // (n_rows, n_outputs) out-of-fold decision values
  float *centers;        // (1 + n_folds, n_outputs) the mean decision value of each model over the rows it was fitted on
  int64_t n_threads;
};

// How often, and for how long, the outputs of convolutions exceed biases (see _label_features/convolutions.py). Dilations at
// which a convolution is longer than the series are skipped: those features are not written.
struct Convolutions {
  int64_t n_series, n_channels;
  const float *values;     // (n_steps, n_channels)
  const int64_t *offsets;  // (n_series + 1,) where each series begins in `values`
  int64_t n_convolutions, n_biases;
  const int64_t *dilations;        // (n_convolutions,) equal dilations are adjacent
  const int64_t *taps;             // (n_convolutions, 3) indices of the taps with weight 2
  const int64_t *padded;           // (n_convolutions,) whether to include steps at which some taps are outside the series
  const int64_t *channel_offsets;  // (n_convolutions + 1,) where the `channels` of each convolution begin
  const int64_t *channels;
  const int64_t *bias_offsets;  // (n_convolutions + 1,) where the `biases` of each convolution begin
  const float *biases;          // (n_biases,)
  float *features;  // (n_series, 2, n_biases) fraction of steps above each bias, and the longest such run as a fraction
  int64_t stride;   // from series to series in `features`
  int64_t n_threads;
};

// The update rules. With g the gradient, p the parameters, r the learning rate:
enum Rule {
  SGD = 0,       // p -= r g
  NESTEROV = 1,  // m = momentum m + g, p -= r (g + momentum m)
  RMSPROP = 2,   // s = decay s + (1 - decay) g g, p -= r g / (sqrt(s) + eps)
  ADAGRAD = 3,   // s = s + g g, p -= r g / (sqrt(s) + eps)
  ADAM = 4,      // m = momentum m + (1 - momentum) g, s as in RMSPROP, p -= r m^ / (sqrt(s^) + eps); m^, s^: bias-corrected
  ADAMW = 5      // the same, with decoupled weight decay: p -= r weight_decay p first, and g without weight decay
};

// A parameter to update: a matrix, or any other tensor as a matrix of one row. If its gradient is sparse, rows without a
// gradient are skipped if the rule does not change them (sgd and adagrad without weight decay) or if they are updated lazily
// (rmsprop, adam, adamw). Pending updates of lazy rows are applied when a row has a gradient again, and by SyncLazyRows.
struct Parameter {
  int64_t n_rows, dim;
  float *values;          // (n_rows, dim)
  float *mean, *square;   // (n_rows, dim), m and s; null if the rule has none
  float *n_updates;       // number of updates so far, which each call increments; null if the rule has no s
  int64_t sparse;         // whether only some rows have a gradient
  int64_t n_touched;      // number of rows with a gradient: n_rows if it is not sparse
  const float *gradient;  // (n_touched, dim)
  const int64_t *rows;    // (n_touched,) sparse only: the row of each gradient, ascending
  int32_t *last_update;   // (n_rows,) for lazy rows, or null: each row has the updates before this index of the log
  double *decay_log;      // (max_logged, 4) for lazy rows of adam or adamw: see lazy_rows.h
  int64_t n_logged;       // updates since all rows were up to date, incremented here; at `max_logged` all rows are synced
  int64_t max_logged;
  double learning_rate, weight_decay, momentum, decay, eps;
};

struct OptimizerUpdate {
  int64_t rule, n_parameters;
  Parameter *parameters;
  double max_norm;  // the gradients are scaled down to this global norm; infinity disables clipping
  int64_t n_threads;
};

// Applies the pending updates of lazily updated rows. With adam and adamw this changes their values, so call it before the
// values are read.
struct SyncLazyRows {
  Parameter *parameter;
  int64_t n_ids;
  const int64_t *ids;  // (n_ids,) the rows, in any order and possibly repeated, or null for all. Out-of-range ids are ignored
  int64_t n_threads;
};

// Splits texts into words and gives each distinct word an id, in the order of first appearance (see _text/word_splitter.py).
// The caller owns all memory. A call continues where the last one stopped; `stop` says why that one stopped.
enum Stop {
  FINISHED = 0,
  UNKNOWN_CHARACTER = 1,  // `character` is not in `pages`
  NEEDS_CLEANING = 2,  // the caller has to clean this text: write it to `cleaned`, set `n_cleaned`, and set `read` to its end
  BUFFER_FULL = 3      // no capacity for one more token (`cleaned` holds it), or for one more id
};

// Properties of a character. Its entry in a page has these bits, and from bit 8 on the character that replaces it.
enum Kind {
  LETTER = 1,              // part of a word
  MARK = 2,                // a combining character or a modifier: extends the mark before it
  SPACE = 4,               // between tokens
  ALNUM = 8,               // a word character to `\b`
  CONTEXT_DEPENDENT = 16,  // its replacement depends on its neighbours, or is empty, or has several characters
  REGIONAL = 32,           // two of them form a flag
  JOINER = 64              // joins the letters of a word; the zero-width joiner also joins marks
};

struct SplitState {
  int64_t text;             // index of the current text
  int64_t read, n_cleaned;  // bytes of the texts that have been read; bytes of `cleaned` that this text fills
  int64_t split;            // bytes of `cleaned` that have been split into tokens
  int64_t n_ids, n_tokens, n_token_bytes;
  int64_t n_hashed;  // number of tokens in `slots`; 0 after `slots` was replaced by zeroed memory
  int64_t stop, character;
};

struct SplitCall {
  int64_t n_texts, lowercase;
  const uint8_t *bytes;       // the normalized texts, end to end, as UTF-8; lone surrogates take three bytes
  const int64_t *offsets;     // (n_texts + 1,)
  const int32_t *page_index;  // (0x2000,) the page of each block of 256 characters, or -1; the first block has page 0
  const uint32_t *pages;      // (n_pages, 256)
  uint8_t *cleaned;           // capacity: twice the bytes of the longest text, plus 64 (see word_splitter.cpp)
  int64_t *lengths;           // (n_texts,) the number of ids of each text, zero at first
  int32_t *ids;               // (ids_capacity,)
  uint8_t *tokens;            // (token_bytes_capacity,) as UTF-8, each followed by a space
  int64_t *starts;            // (tokens_capacity + 1,) where each token starts in `tokens`, and where the next one will
  int32_t *slots;             // (n_slots,) the hash table
  int64_t ids_capacity, token_bytes_capacity, tokens_capacity, n_slots;  // n_slots: a power of two above tokens_capacity
  int64_t seed, second_seed;                                             // random, so that no text can be made to collide
  SplitState *state;
};
