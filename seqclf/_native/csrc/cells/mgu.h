// f = s(...), n = a(x W_n + b_n + f (h U_n + c_n));  h' = (1 - f) h + f n.   Weights: f, n
#pragma once
#include "cells/cell.h"

namespace seqclf {
namespace ISA {

// Slots: x W_n + b_n, f, h U_n + c_n, as in gru.h.
struct Mgu : CellDefaults {
  static constexpr int gates = 2, slots = 3, recurrent_offset = 1;
  static constexpr int input_order[] = {1, 0}, recurrent_order[] = {0, 1};
  static constexpr bool has_recurrent_bias = true, reads_previous = true;
  static constexpr Saves saves = AFTER_OUTPUT;

  template <class A, class V> static inline void activate(V *s, State<V> &) { s[1] = sigmoid(s[1]); }

  template <class A, class V> static inline V output(V *s, const State<V> &state) {
    s[0] = A::value(s[0] + s[1] * s[2]);
    return state.previous + s[1] * (s[0] - state.previous);
  }

  template <class A, class V> static inline V backward(V grad, const Saved<V, slots> &at, V &, V *d) {
    const V one = broadcast<V>(1.0f), n = at.slots[0], f = at.slots[1], n_of_state = at.slots[2];
    d[0] = A::times_slope(grad * f, n);
    d[1] = (d[0] * n_of_state + grad * (n - at.previous)) * f * (one - f);
    d[2] = d[0] * f;
    return grad * (one - f);
  }
};

}  // namespace ISA
}  // namespace seqclf
