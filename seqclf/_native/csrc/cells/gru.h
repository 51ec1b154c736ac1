// r, z = s(...), n = a(x W_n + b_n + r (h U_n + c_n));  h' = (1 - z) n + z h.   Weights: r, z, n
#pragma once
#include "cells/cell.h"

namespace seqclf {
namespace ISA {

// Slots: x W_n + b_n, r, z, h U_n + c_n. The two terms of n have separate slots because r multiplies only the second one. They
// are the first and the last slot, so that the slots of the inputs and those of the state are contiguous.
struct Gru : CellDefaults {
  static constexpr int gates = 3, slots = 4, recurrent_offset = 1;
  static constexpr int input_order[] = {2, 0, 1}, recurrent_order[] = {0, 1, 2};
  static constexpr bool has_recurrent_bias = true, reads_previous = true;
  static constexpr Saves saves = AFTER_OUTPUT;

  template <class A, class V> static inline void activate(V *s, State<V> &) {
    s[1] = sigmoid(s[1]);
    s[2] = sigmoid(s[2]);
  }

  template <class A, class V> static inline V output(V *s, const State<V> &state) {
    s[0] = A::value(s[0] + s[1] * s[3]);
    return s[0] + s[2] * (state.previous - s[0]);
  }

  template <class A, class V> static inline V backward(V grad, const Saved<V, slots> &at, V &, V *d) {
    const V one = broadcast<V>(1.0f), n = at.slots[0], r = at.slots[1], z = at.slots[2], n_of_state = at.slots[3];
    d[0] = A::times_slope(grad * (one - z), n);
    d[1] = d[0] * n_of_state * r * (one - r);
    d[2] = grad * (at.previous - n) * z * (one - z);
    d[3] = d[0] * r;
    return grad * z;
  }
};

}  // namespace ISA
}  // namespace seqclf
