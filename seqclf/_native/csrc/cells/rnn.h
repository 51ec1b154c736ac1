// h' = a(x W + h U + b), with a tanh or relu
#pragma once
#include "cells/cell.h"

namespace seqclf {
namespace ISA {

struct Rnn : CellDefaults {
  static constexpr int gates = 1, slots = 1;
  static constexpr int input_order[] = {0}, recurrent_order[] = {0};
};

struct RnnTanh : Rnn {
  template <class V> static inline V output(V *s, const State<V> &) { return tanh(s[0]); }
  template <class V> static inline V backward(V grad, const Saved<V, slots> &at, V &, V *d) {
    d[0] = grad * (broadcast<V>(1.0f) - at.hidden * at.hidden);
    return broadcast<V>(0.0f);
  }
};

struct RnnRelu : Rnn {
  template <class V> static inline V output(V *s, const State<V> &) { return relu(s[0]); }
  template <class V> static inline V backward(V grad, const Saved<V, slots> &at, V &, V *d) {
    const V zero = broadcast<V>(0.0f);
    d[0] = at.hidden > zero ? grad : grad * zero + (at.hidden - at.hidden);  // NaN stays NaN
    return zero;
  }
};

}  // namespace ISA
}  // namespace seqclf
