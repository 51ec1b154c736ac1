// Every function that is compiled once per instruction set: its result, its name, and its structure in abi.h. targets.h
// declares them, dispatch.cpp exports each as seqclf_<name>, and abi.py lists the same names.
#pragma once

// Python gets each result as an int64_t:
//
//   OUT_OF_MEMORY   any function: it ran out of memory, and its outputs are undefined (except for `optimize`)
//   void            0
//   describe_cell   whether there is a cell with that code
//   activate        whether there is an activation with that code
//   look_up         false if a version or an entry is out of range; the outputs are then undefined
//   unique_ids      the number of ids written, or -1 if an id is out of range
//   count_entries   the total number of entries
//   optimize        false if the rows of a sparse gradient are not ascending, or one is out of range. In that case, and
//                   without memory, nothing is changed
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
  ENTRY(bool, optimize, OptimizerUpdate)          \
  ENTRY(void, sync_lazy_rows, SyncLazyRows)
