// Vectors of floats, in the compiler's vector types: one source for every instruction set.
//
// Every function here has to be static. The header is in the namespace seqclf, not in ISA: a function with external linkage
// would be merged by the linker across instruction sets, and could then run on a processor that lacks its instructions.
#pragma once
#include <stdint.h>
#include <string.h>

namespace seqclf {

// Eight floats, and sixteen for processors with registers of that width. V below is one of the two.
typedef float v8 __attribute__((vector_size(32)));
typedef float v16 __attribute__((vector_size(64)));

template <class V> struct Traits;
template <> struct Traits<v8> {
  typedef v8 in_memory __attribute__((aligned(4), may_alias));
  typedef uint32_t bits __attribute__((vector_size(32)));
};
template <> struct Traits<v16> {
  typedef v16 in_memory __attribute__((aligned(4), may_alias));
  typedef uint32_t bits __attribute__((vector_size(64)));
};
template <class V> static constexpr int lanes = sizeof(V) / sizeof(float);

template <class V = v8> static inline V load(const float *p) { return *(const typename Traits<V>::in_memory *)p; }
template <class V> static inline void store(float *p, V a) { *(typename Traits<V>::in_memory *)p = a; }
template <class V = v8> static inline V broadcast(float a) { return a - V{}; }

// 2^t with t = x scale, as a pair: `power` = 2^n and `excess` = 2^n (2^f - 1), where t = n + f and |f| <= 1/2. t is clipped to
// +-125, where the functions below are saturated. NaN propagates.
template <class V> static inline void power_of_two(V x, float scale, V &power, V &excess) {
  const V limit = broadcast<V>(125.0f / (scale < 0 ? -scale : scale));
  x = x < -limit ? -limit : x;
  x = x > limit ? limit : x;
  // Adding 1.5 * 2^23 rounds to an integer, which is then in the lowest bits.
  const V magic = broadcast<V>(12582912.0f), shifted = x * broadcast<V>(scale) + magic;
  const V f = x * broadcast<V>(scale) - (shifted - magic);
  typename Traits<V>::bits bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127 << 23);
  memcpy(&power, &bits, sizeof power);
  // (2^f - 1) / f to a relative 1.1e-8 (Remez).
  V p = broadcast<V>(1.54035122e-4f);
  p = p * f + broadcast<V>(1.33907353e-3f);
  p = p * f + broadcast<V>(9.61823761e-3f);
  p = p * f + broadcast<V>(5.55035733e-2f);
  p = p * f + broadcast<V>(2.40226492e-1f);
  p = p * f + broadcast<V>(6.93147182e-1f);
  excess = p * f * power;
}

static const float log2_e = 1.44269504f;

template <class V> static inline V sigmoid(V x) {
  V power, excess;
  power_of_two(x, -log2_e, power, excess);
  return broadcast<V>(1.0f) / (broadcast<V>(1.0f) + (power + excess));
}

// (e^2x - 1) / (e^2x + 1), computed from e^2x - 1 so that small x keep their precision.
template <class V> static inline V tanh(V x) {
  V power, excess;
  power_of_two(x, 2 * log2_e, power, excess);
  const V minus_one = excess + (power - broadcast<V>(1.0f));
  return minus_one / (minus_one + broadcast<V>(2.0f));
}

template <class V> static inline V absolute(V x) {
  typename Traits<V>::bits bits;
  memcpy(&bits, &x, sizeof bits);
  bits &= 0x7fffffff;
  memcpy(&x, &bits, sizeof bits);
  return x;
}

}  // namespace seqclf
