// h' = a(x W + h U + b)
#pragma once
#include "cells/cell.h"

namespace seqclf {
namespace ISA {

struct Rnn : CellDefaults {
  static constexpr int gates = 1, slots = 1;
  static constexpr int input_order[] = {0}, recurrent_order[] = {0};

  template <class A, class V> static inline V output(V *s, const State<V> &) { return A::value(s[0]); }

  template <class A, class V> static inline V backward(V grad, const Saved<V, slots> &at, V &, V *d) {
    d[0] = A::times_slope(grad, at.hidden);
    return broadcast<V>(0.0f);
  }
};

}  // namespace ISA
}  // namespace seqclf
