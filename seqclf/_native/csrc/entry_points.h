// Every function that is compiled once for each kind of processor: its result, its name, and the structure of abi.h that it
// reads. targets.h declares them, dispatch.cpp exports each as seqclf_<name>. Python has them by these names.
#pragma once

// Python gets each result as an int64_t. What it means:
//
//   OUT_OF_MEMORY   of any of them: the call got no memory. What it should have written is undefined, but see `optimize`
//   void            0
//   describe_cell   whether there is a cell with that code
//   activate        whether there is an activation with that code
//   look_up         false if a version or an entry is out of range; what was found is then undefined
//   unique_ids      the number of ids that were written, or -1 if an id is out of range
//   count_entries   the number of entries of all rows
//   optimize        false, and nothing is done, if the rows of a gradient do not rise or are not rows of the parameter; nothing
//                   is done without memory either
#define SEQCLF_ENTRY_POINTS(ENTRY)                \
  ENTRY(bool, describe_cell, DescribeCell)        \
  ENTRY(bool, activate, Activate)                 \
  ENTRY(void, gather, Gather)                     \
  ENTRY(bool, look_up, TableLookUp)               \
  ENTRY(void, embed_backward, EmbeddingBackward)  \
  ENTRY(void, project, Projection)                \
  ENTRY(void, forward, Forward)                   \
  ENTRY(void, backward, Backward)                 \
  ENTRY(void, pool, Pooling)                      \
  ENTRY(void, pool_backward, PoolingBackward)     \
  ENTRY(void, attend_backward, AttentionBackward) \
  ENTRY(void, linear, Linear)                     \
  ENTRY(int64_t, count_entries, CountEntries)     \
  ENTRY(void, sparse_linear, SparseLinear)        \
  ENTRY(void, fit_linear_models, LinearModels)    \
  ENTRY(void, convolve, Convolutions)             \
  ENTRY(int64_t, unique_ids, UniqueIds)           \
  ENTRY(bool, optimize, Step)                     \
  ENTRY(void, sync_lazy_rows, SyncLazyRows)
