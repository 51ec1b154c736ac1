// The activations of the state (_cells/activations.py has the same ones). Nothing else in C++ names one.
#pragma once
#include "simd.h"

namespace seqclf {
namespace ISA {

// An activation a has two functions:
//
//   value(x)         a(x). a(0) has to be 0: the kernels compute whole blocks of units, and the units that only fill the last
//                    block have sums of 0. Their states have to be 0, because the next step multiplies them.
//   times_slope(grad, y)
//                    grad a'(x), from y = a(x): backward has y, but not x.

struct Tanh {
  template <class V> static inline V value(V x) { return tanh(x); }
  template <class V> static inline V times_slope(V grad, V y) { return grad * (broadcast<V>(1.0f) - y * y); }
};

struct Relu {
  template <class V> static inline V value(V x) { return x < broadcast<V>(0.0f) ? broadcast<V>(0.0f) : x; }
  template <class V> static inline V times_slope(V grad, V y) {
    const V zero = broadcast<V>(0.0f);
    return y > zero ? grad : grad * zero + (y - y);  // NaN propagates
  }
};

// x / (1 + |x|), whose slope is 1 / (1 + |x|)^2 = (1 - |y|)^2.
struct Softsign {
  template <class V> static inline V value(V x) { return x / (broadcast<V>(1.0f) + absolute(x)); }
  template <class V> static inline V times_slope(V grad, V y) {
    const V complement = broadcast<V>(1.0f) - absolute(y);
    return grad * (complement * complement);
  }
};

#define SEQCLF_ACTIVATIONS(ACTIVATION) \
  ACTIVATION(0, Tanh)                  \
  ACTIVATION(1, Relu)                  \
  ACTIVATION(2, Softsign)

// Calls work(Activation()) for the activation with this code; false if there is none.
template <class Work> static inline bool for_activation(int64_t code, Work work) {
  switch (code) {
#define SEQCLF_CASE(number, Activation) \
  case number: work(Activation()); return true;
    SEQCLF_ACTIVATIONS(SEQCLF_CASE)
#undef SEQCLF_CASE
    default: return false;
  }
}

}  // namespace ISA
}  // namespace seqclf
