// i, f, o = s(...), g = a(...);  c' = f c + i g,  h' = o a(c').   Slots and weights: i, f, g, o
#pragma once
#include "cells/cell.h"

namespace seqclf {
namespace ISA {

struct Lstm : CellDefaults {
  static constexpr int gates = 4, slots = 4;
  static constexpr int input_order[] = {0, 1, 2, 3}, recurrent_order[] = {0, 1, 2, 3};
  static constexpr bool has_memory = true;
  static constexpr Saves saves = AFTER_ACTIVATE;

  template <class A, class V> static inline void activate(V *s, State<V> &state) {
    s[0] = sigmoid(s[0]);
    s[1] = sigmoid(s[1]);
    s[2] = A::value(s[2]);
    s[3] = sigmoid(s[3]);
    state.memory = s[1] * state.memory + s[0] * s[2];
  }

  template <class A, class V> static inline V output(V *s, const State<V> &state) { return s[3] * A::value(state.memory); }

  template <class A, class V> static inline V backward(V grad, const Saved<V, slots> &at, V &grad_memory, V *d) {
    const V one = broadcast<V>(1.0f), i = at.slots[0], f = at.slots[1], g = at.slots[2], o = at.slots[3];
    const V activated = A::value(at.memory);
    const V memory = grad_memory + A::times_slope(grad * o, activated);
    d[0] = memory * g * i * (one - i);
    d[1] = memory * at.memory_before * f * (one - f);
    d[2] = A::times_slope(memory * i, g);
    d[3] = grad * activated * o * (one - o);
    grad_memory = memory * f;
    return broadcast<V>(0.0f);
  }
};

}  // namespace ISA
}  // namespace seqclf
