// The interface between a cell and the kernels. Each other header in this folder defines a cell; list.h lists them.
//
// A unit has `slots` sums at each step. The products with the inputs are added to the first `gates` slots, those with the
// previous state to `gates` slots from `recurrent_offset` on. Slots in both ranges get the sum of both products. In the
// equations of the cells, s is the sigmoid and a the activation.
#pragma once
#include <math.h>

#include "activations.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

// What a cell reads and writes when it turns the sums of a step into a state, for a block of units of one row. Fields that are
// not filled in, here and below, are undefined. In the build with sanitizers they are NaN, so that a cell that reads them fails
// its tests.
template <class V> struct State {
  V previous;  // the previous hidden state; filled in if `reads_previous`
  V memory;    // if `has_memory`: the previous memory, which `activate` replaces with the new one

#if SEQCLF_CHECK_CALLS
  State() : previous(broadcast<V>(NAN)), memory(broadcast<V>(NAN)) {}
#endif
};

// What a cell reads in its backward pass.
template <class V, int SLOTS> struct Saved {
  V slots[SLOTS];           // the saved slots; filled in unless `saves` is NOTHING
  V hidden;                 // the hidden state; filled in if `saves` is NOTHING
  V previous;               // as above
  V memory, memory_before;  // of this step and the previous one; filled in if `has_memory`

#if SEQCLF_CHECK_CALLS
  Saved() : hidden(broadcast<V>(NAN)), previous(hidden), memory(hidden), memory_before(hidden) {
    for (V &slot : slots) slot = hidden;
  }
#endif
};

// After which function the slots are saved for the backward pass.
enum Saves { NOTHING, AFTER_ACTIVATE, AFTER_OUTPUT };

// A cell inherits from this, overrides what differs, and adds:
//
//   gates, slots      their numbers; more than four slots do not fit into the registers (see tiling.h)
//   input_order       for each of the first `gates` slots, its block in the input weights
//   recurrent_order   for each of the slots from `recurrent_offset` on, its block in the recurrent weights
//   output<A>(s, state)
//                     the new hidden state from the slots `s`
//   backward<A>(grad, at, grad_memory, d)
//                     takes the gradient of the hidden state, writes those of the sums to `d`, and replaces that of the memory
//                     by that of the previous memory. It returns the gradient of the previous hidden state, except for the
//                     part that passes through the recurrent weights.
//
// V is a vector of a block of units: v8 or v16 (simd.h). A is the activation (activations.h). Only these functions use A.
struct CellDefaults {
  static constexpr int recurrent_offset = 0;
  static constexpr bool has_recurrent_bias = false, has_memory = false, reads_previous = false;
  static constexpr Saves saves = NOTHING;

  // Called for all rows of a tile before `output` is called for any of them, so that the latencies of the rows
  // overlap. If one transcendental function depends on another, put the first into `activate`.
  template <class A, class V> static inline void activate(V *, State<V> &) {}
};

// The block of torch's weights for a slot. Slots are counted from 0 for the inputs and from `recurrent_offset` for the state.
template <class Cell> static inline int torch_gate(int slot, bool recurrent) {
  return recurrent ? Cell::recurrent_order[slot] : Cell::input_order[slot];
}

}  // namespace ISA
}  // namespace seqclf
