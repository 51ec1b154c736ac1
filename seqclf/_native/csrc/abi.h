// The plain C interface of the kernels: what Python fills in and passes by address. Nothing here depends on a processor.
#pragma once
#include <stdint.h>

#ifdef _WIN32
#define SEQCLF_EXPORT extern "C" __declspec(dllexport)
#else
#define SEQCLF_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// The number of this interface: one more whenever a structure or an entry point changes. Python refuses a library that has
// another one.
const int64_t INTERFACE = 2;

// The result of a call that got no memory, whatever else it may give (see entry_points.h).
const int64_t OUT_OF_MEMORY = -2;

// A batch of sequences, time-major, longest first (see _kernels/layout.py). All matrices are row-major and contiguous.
struct Batch {
  int64_t n_rows, max_length;
  const int64_t *batch_sizes;   // (max_length,) rows that are still running at each time; never rises
  const int64_t *time_offsets;  // (max_length + 1,) position of the first row of each time
};

// What a cell is like, as its file in cells/ says.
struct DescribeCell {
  int64_t cell;          // its code
  int64_t *description;  // (5,) how many gates and slots; and as 0 or 1 whether it saves slots, has memory, a recurrent bias
};

// An activation and its slope, number by number. With n = 0 the call only says whether there is one.
struct Activate {
  int64_t activation;  // its code
  int64_t n;           // a multiple of 8
  const float *inputs;
  float *values, *slopes;
};

// The weights of a layer in one direction. Gates in the order of torch, which the file of each cell tells.
struct Direction {
  int64_t reverse;
  const float *weight_input;      // (gates * units, n_looked_up + n_numbers)
  const float *weight_recurrent;  // (gates * units, units)
  const float *bias;              // (gates * units,)
  const float *bias_recurrent;    // (gates * units,), or null where the cell has none
  const float *projected;         // what `project` made of the ids' vectors, or null
};

struct Layer {
  int64_t cell;        // a code of cells/list.h
  int64_t activation;  // a code of activations.h
  int64_t units, n_directions;
  int64_t n_looked_up;  // columns of `weight_input` for the ids: as many as ids (one-hot), or as wide as their vectors
  int64_t n_numbers;    // columns for the numbers, behind them
  Direction directions[2];
};

// What a layer reads at each step: a token id, some numbers, or an id and numbers beside it. An id stands for its row of the
// table, times what dropout leaves of the sequence; where there is no table, for a one-hot vector or what was projected.
struct Inputs {
  const float *numbers;  // (n_steps, n_numbers), or null
  const int64_t *ids;    // (n_steps,), or null
  const float *table;    // (n_ids, n_looked_up), or null
  const float *mask;     // (n_rows, n_looked_up), or null
};

// `width` below is units rounded up to a multiple of 8; what is beyond `units` is zero in the outputs.
struct Forward {
  Batch batch;
  Layer layer;
  Inputs inputs;
  float *outputs;  // (n_steps, n_directions, width)
  float *gates;    // (n_directions, n_steps, width * slots) for backward, or null: the slots of the cell
  float *memory;   // (n_directions, n_steps, width) for backward of a cell with memory, or null
  int64_t n_threads;
};

// The gradients of a Direction's weights, in their order.
struct Gradients {
  float *weight_input, *weight_recurrent, *bias, *bias_recurrent;
};

struct Backward {
  Batch batch;
  Layer layer;
  Inputs inputs;                  // as forward read them
  const float *outputs, *memory;  // as forward left them
  float *gates;               // the same; overwritten. With one-hot ids a cell that saves none needs memory of that size too
  const float *grad_outputs;  // (n_steps, n_directions * units)
  int64_t grad_stride;        // of `grad_outputs` from step to step
  float *grad_inputs;         // of the vectors of ids that a table has, (n_steps, n_looked_up), or else of the numbers; or null
  Gradients gradients[2];     // of each direction
  int64_t n_threads;
};

// What each id's vector gives to the gates, once for all steps that have it: for reading much with few ids.
struct Projection {
  Layer layer;
  int64_t n_ids;
  const float *table;  // (n_ids, n_looked_up)
  float *projected;    // (n_ids, width * gates)
  int64_t n_threads;
};

// Copies steps of the data into the order of the batch.
struct Gather {
  Batch batch;
  const int64_t *data_offsets;  // (n_rows,) where the sequence of each row begins in `steps`
  int64_t widened;              // whether the steps are ids of 32 bits, which are widened to 64
  int64_t step_bytes;           // the size of a step; bytes between it and the next one are skipped
  int64_t stride;               // bytes from step to step
  const void *steps;
  void *gathered;
};

// Values in several versions; each entry has a row of `n_channels` values in each version.
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
  int64_t stride;          // of `entries` from step to step
  float *found;            // (n_steps, n_channels of all tables)
  int64_t n_threads;
};

// The gradient of a table of vectors: for each id the sum over its steps, each times the mask of its row.
struct EmbeddingBackward {
  Batch batch;
  int64_t dim, n_vectors;
  const int64_t *ids;
  const float *mask;
  const float *grad_vectors;  // (n_steps, dim)
  const int32_t *inverse;     // (n_ids,) from UniqueIds: the row of each id in `grad_table`; null: the row is the id
  float *grad_table;          // (n_vectors, dim)
  int64_t n_threads;
};

// The ids that occur in a batch.
struct UniqueIds {
  int64_t n_steps, n_ids;
  const int64_t *step_ids;  // (n_steps,)
  int64_t *ids;             // the distinct ids, rising; has room for one more than there can be
  int32_t *inverse;         // (n_ids,) the index of each id in `ids`; undefined for ids that do not occur
};

// Several vectors per row into one.
enum Pool { MAX = 0, MEAN = 1, ATTENTION = 2 };

struct Pooling {
  Batch batch;
  int64_t kind, n_features;
  int64_t stride;       // of `values` from step to step
  const float *values;  // (n_steps, n_features)
  const float *keys;    // (n_steps, n_features), attention only: its weights are softmax(keys . query)
  const float *query;   // (n_features,), attention only
  float *pooled;        // (n_rows, n_features)
  int32_t *chosen;      // (n_rows, n_features), max only, or null: the position that each maximum stands at
  double *scales;       // (n_rows,), attention only, or null: log(sum of exp(keys . query))
  int64_t n_threads;
};

struct PoolingBackward {
  Batch batch;
  int64_t kind, n_features;  // max or mean
  const float *grad_pooled;  // (n_rows, n_features)
  const int32_t *chosen;     // as forward left it
  float *grad_values;        // (n_steps, n_features)
  int64_t n_threads;
};

struct AttentionBackward {
  Batch batch;
  int64_t n_features, stride;  // and all below as in Pooling
  const float *values, *keys, *query, *pooled;
  const double *scales;
  const float *grad_pooled;        // (n_rows, n_features)
  float *grad_values, *grad_keys;  // (n_steps, n_features)
  float *grad_query;               // (n_features,)
  int64_t n_threads;
};

// outputs = values weight' + bias, summed in double, each row by itself.
struct Linear {
  int64_t n_rows, n_inputs, n_outputs;
  const float *values;  // (n_rows, n_inputs)
  const float *weight;  // (n_outputs, n_inputs)
  const float *bias;    // (n_outputs,)
  double *outputs;      // (n_rows, n_outputs)
};

// How often each row holds each number, or each column inside its numbers (see _label_features/entry_counts.py). The entries of
// a row are written in the order of their columns, those of all rows one after the other.
struct CountEntries {
  int64_t n_rows, n_columns;
  const int64_t *offsets;        // (n_rows + 1,) where each row begins in `numbers`
  const int32_t *numbers;        // below n_columns, negative ones are not counted; or below n_known + n_new
  int64_t n_known, n_new;        // how many numbers have columns inside them, if any have
  const int64_t *known_offsets;  // (n_known + 1,) where those of each number begin; or null: the numbers are columns
  const int32_t *known_columns;
  const int64_t *new_offsets;  // (n_new + 1,) the same for the numbers from n_known on
  const int32_t *new_columns;
  const int64_t *room;  // (n_rows + 1,) where each row may write: there is a place for each column that it holds
  int64_t *lengths;     // (n_rows,) how many different columns each row holds
  int32_t *columns;     // (room[n_rows],)
  float *counts;        // (room[n_rows],)
  int64_t n_threads;
};

// outputs = rows coef + intercept, where most of a row is zero: summed in float, each row by itself in the order of its
// entries.
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

// L2-regularised linear models of sparse rows (see _label_features/linear_models.py): for each output one of all rows, and one
// without each fold.
struct LinearModels {
  int64_t n_rows, n_features, n_outputs, n_folds;
  const int64_t *offsets;   // (n_rows + 1,) where each row begins in the next two
  const int32_t *features;  // (n_entries,)
  const float *values;      // (n_entries,)
  const float *targets;     // (n_rows, n_outputs)
  const float *slack;       // (n_rows,) 1 / (2 C) of each row
  const int64_t *fold;      // (n_rows,) from 0
  int64_t hinge;            // whether the loss is the squared hinge, with targets of -1 and 1, or else the squared error
  int64_t max_epochs;
  const int32_t *order;  // (max_epochs, n_rows) the order of the rows in each epoch
  double tolerance;      // a model is done after an epoch that gains no more than this share of its dual objective
  float *coef;           // (n_features, n_outputs) of the models of all rows
  float *intercept;      // (n_outputs,)
  float *held_out;       // (n_rows, n_outputs) the decision values of the model without the row's fold
  float *centers;        // (1 + n_folds, n_outputs) the mean decision value of each model over the rows it was fitted on
  int64_t n_threads;
};

// How often, and how long, the outputs of convolutions are above biases (see _label_features/convolutions.py). A dilation at
// which the kernels are longer than a series is skipped: its features of that series are left as they are.
struct Convolutions {
  int64_t n_series, n_channels;
  const float *values;     // (n_steps, n_channels)
  const int64_t *offsets;  // (n_series + 1,) where each series begins in `values`
  int64_t n_convolutions, n_biases;
  const int64_t *dilations;        // (n_convolutions,) equal ones side by side
  const int64_t *taps;             // (n_convolutions, 3) those of weight 2
  const int64_t *padded;           // (n_convolutions,) whether steps count whose taps are not all inside the series
  const int64_t *channel_offsets;  // (n_convolutions + 1,) which of `channels` each convolution reads
  const int64_t *channels;
  const int64_t *bias_offsets;  // (n_convolutions + 1,) which of `biases` are its own
  const float *biases;          // (n_biases,)
  float *features;              // (n_series, 2, n_biases) the share of steps above each bias, and the longest stretch of them
  int64_t stride;               // of `features` from series to series
  int64_t n_threads;
};

// How the parameters move. With g the gradient, p the parameters, r the learning rate:
enum Rule {
  SGD = 0,       // p -= r g
  NESTEROV = 1,  // m = momentum m + g, p -= r (g + momentum m)
  RMSPROP = 2,   // s = decay s + (1 - decay) g g, p -= r g / (sqrt(s) + eps)
  ADAGRAD = 3,   // s = s + g g, p -= r g / (sqrt(s) + eps)
  ADAM = 4,      // m = momentum m + (1 - momentum) g, s as of rmsprop, p -= r m^ / (sqrt(s^) + eps), both freed of bias
  ADAMW = 5      // the same; weight decay is no part of g, but p -= r weight_decay p comes before
};

// A parameter that a step moves: a matrix, or anything else as a matrix of one row. If its gradient is sparse, rows without a
// gradient are skipped where the rule does not move them (sgd and adagrad without weight decay), or where they are updated
// lazily (rmsprop, adam, adamw): their pending updates are applied when they have a gradient again, and by SyncLazyRows.
struct Parameter {
  int64_t n_rows, dim;
  float *values;          // (n_rows, dim)
  float *mean, *square;   // (n_rows, dim), m and s; null where the rule has none
  float *n_steps;         // steps taken, a whole number that is counted up here; null where the rule has no s
  int64_t sparse;         // whether only some rows have a gradient
  int64_t n_touched;      // how many: n_rows where it is not sparse
  const float *gradient;  // (n_touched, dim)
  const int64_t *rows;    // (n_touched,) sparse only: whose gradient each of them is, rising
  int32_t *last_step;     // (n_rows,) if rows are updated lazily, or null: the logged step up to which each row is up to date
  double *decay_log;      // (max_logged, 4) for lazy rows of adam or adamw: see lazy_rows.h
  int64_t n_logged;       // steps since all rows were up to date, counted up here; at `max_logged` all are brought up to date
  int64_t max_logged;
  double learning_rate, weight_decay, momentum, decay, eps;
};

struct Step {
  int64_t rule, n_parameters;
  Parameter *parameters;
  double max_norm;  // all gradients together are scaled down to this norm; infinity leaves them as they are
  int64_t n_threads;
};

// Brings lazily updated rows up to date. That changes their state, and with adam and adamw their values too, so call it before
// the values are read.
struct SyncLazyRows {
  Parameter *parameter;
  int64_t n_ids;
  const int64_t *ids;  // (n_ids,) the rows, in any order and with repetitions, or null: all. Out-of-range ids are ignored
  int64_t n_threads;
};

// Splits texts into words and gives each word an id: equal words have the same one, and ids count up in the order in which
// words first appear (see _text/word_splitter.py). All memory belongs to the caller. A call continues where the last one
// stopped, and `stop` says why it stopped.
enum Stop {
  FINISHED = 0,
  UNKNOWN_CHARACTER = 1,  // `character` is not in the table
  NEEDS_CLEANING = 2,     // the caller has to clean this text: put it into `cleaned`, set `written`, and `read` to its end
  NO_ROOM = 3             // for one more token (`cleaned` holds it), or for one more id
};

// What a character is. Its entry in a page: these bits, and above them, from the ninth on, the character that it is read as.
enum Kind {
  LETTER = 1,              // part of a word
  MARK = 2,                // belongs to the mark before it
  SPACE = 4,               // between tokens
  ALNUM = 8,               // a `\b` is between one of these and anything else
  CONTEXT_DEPENDENT = 16,  // what it is read as depends on its neighbours, or is no character, or several
  REGIONAL = 32,           // two of them are a flag
  JOINER = 64              // part of a word between its letters; the zero-width joiner also joins marks
};

struct SplitState {
  int64_t text;           // index of the text that is being read
  int64_t read, written;  // bytes of the texts that have been read, and of `cleaned` that this text has filled
  int64_t split;          // bytes of `cleaned` that have been split into tokens
  int64_t n_ids, n_tokens, n_token_bytes;
  int64_t n_hashed;  // tokens that are in `slots`; 0 with new, zeroed slots
  int64_t stop, character;
};

struct SplitCall {
  int64_t n_texts, lowercase;
  const uint8_t *bytes;       // the texts in their normal form, end to end, as UTF-8; half surrogates in three bytes
  const int64_t *offsets;     // (n_texts + 1,)
  const int32_t *page_index;  // (0x2000,) the row of `pages` for each 256 characters, or -1; the first 256 have row 0
  const uint32_t *pages;      // (n_pages, 256)
  uint8_t *cleaned;           // twice the bytes of the longest text, and 64 more (see word_splitter.cpp)
  int64_t *lengths;           // (n_texts,) the number of ids of each text, zero at first
  int32_t *ids;               // (ids_room,)
  uint8_t *tokens;            // (token_bytes_room,) as UTF-8, a space behind each
  int64_t *starts;            // (tokens_room + 1,) of each in `tokens`, and where the next will start
  int32_t *slots;             // (n_slots,) the hash table
  int64_t ids_room, token_bytes_room, tokens_room, n_slots;  // n_slots: a power of two above `tokens_room`
  int64_t seed, second_seed;                                 // random: nobody can choose texts whose words all collide
  SplitState *state;
};
