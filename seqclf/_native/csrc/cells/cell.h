// What a cell is to the kernels. Each file next to this one has a cell, list.h has them all.
//
// A unit has `slots` sums at each step: those of the inputs go into the first `gates` of them, those of the previous state
// into `gates` of them from `recurrent_offset` on. Where the two overlap they are one sum.
#pragma once
#include <math.h>

#include "activations.h"
#include "simd.h"

namespace seqclf {
namespace ISA {

// What a cell reads and writes when it turns the sums of a step into a state; of one block of units of one row. What is not
// filled in, here and below, is undefined. In the build with sanitizers it is NaN: a cell that reads it fails its tests.
template <class V> struct State {
  V previous;  // the hidden state before; filled in if it `reads_previous`
  V memory;    // if it `has_memory`: the one before, which `activate` turns into the new one

#if SEQCLF_CHECK_CALLS
  State() : previous(broadcast<V>(NAN)), memory(broadcast<V>(NAN)) {}
#endif
};

// What it reads on the way back.
template <class V, int SLOTS> struct Saved {
  V slots[SLOTS];           // as they were when they were saved; filled in if it saves any
  V hidden;                 // filled in if it saves no slots
  V previous;               // as above
  V memory, memory_before;  // if it `has_memory`

#if SEQCLF_CHECK_CALLS
  Saved() : hidden(broadcast<V>(NAN)), previous(hidden), memory(hidden), memory_before(hidden) {
    for (V &slot : slots) slot = hidden;
  }
#endif
};

// After which function the slots hold what the way back reads, and are written to memory for it.
enum Saves { NOTHING, AFTER_ACTIVATE, AFTER_OUTPUT };

// A cell inherits this, replaces what differs, and adds:
//
//   gates, slots      how many; more than four slots do not fit into the registers
//   input_order       for each of the first `gates` slots, which block of the weights of the inputs it belongs to
//   recurrent_order   for each of the slots from `recurrent_offset` on, which block of the recurrent weights
//   output<A>(s, state)
//                     the new hidden state from the slots `s`
//   backward<A>(grad, at, grad_memory, d)
//                     from the gradient of the hidden state to those of the sums, `d`, and of the memory, which is replaced.
//                     It returns what of the gradient goes to the hidden state before without passing a weight.
//
// V holds the numbers of a block of units: v8 or v16 (simd.h). A is the activation (activations.h). Only these functions know
// it, and so the matrix products around them are compiled once for each cell, not once for each cell and activation.
struct CellDefaults {
  static constexpr int recurrent_offset = 0;
  static constexpr bool has_recurrent_bias = false, has_memory = false, reads_previous = false;
  static constexpr Saves saves = NOTHING;

  // What comes before `output`. The processor works on it for several rows at once, and then on `output` for several rows: a
  // function of a function's value is better split between the two.
  template <class A, class V> static inline void activate(V *, State<V> &) {}
};

// Which block of torch's weights belongs to place `gate` of the sums of the inputs, or of those of the previous state.
template <class Cell> static inline int torch_gate(int gate, bool recurrent) {
  return recurrent ? Cell::recurrent_order[gate] : Cell::input_order[gate];
}

}  // namespace ISA
}  // namespace seqclf
