// Eight floats at a time, in the compiler's own vector type: one source for every processor.
#pragma once
#include <stdint.h>
#include <string.h>

namespace seqclf {

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t u8 __attribute__((vector_size(32)));

static inline v8 load(const float *p) { return *(const v8 *)p; }
static inline void store(float *p, v8 a) { *(v8 *)p = a; }
static inline v8 broadcast(float a) { return (v8){a, a, a, a, a, a, a, a}; }

// 2^t as a pair: 2^n, and (2^n)(2^f - 1), with t = n + f and |f| <= 1/2. `t` is x times a scale; beyond +-125 it is held, far
// in the saturated parts of what is built on it. NaN goes through.
static inline void power_of_two(v8 x, float scale, v8 &power, v8 &rest) {
  const v8 limit = broadcast(125.0f / (scale < 0 ? -scale : scale));
  x = x < -limit ? -limit : x;
  x = x > limit ? limit : x;
  // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the last bits.
  const v8 magic = broadcast(12582912.0f), shifted = x * broadcast(scale) + magic;
  const v8 f = x * broadcast(scale) - (shifted - magic);
  u8 bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127 << 23);
  memcpy(&power, &bits, sizeof power);
  // (2^f - 1) / f to a relative 1.1e-8 (Remez).
  v8 p = broadcast(1.54035122e-4f);
  p = p * f + broadcast(1.33907353e-3f);
  p = p * f + broadcast(9.61823761e-3f);
  p = p * f + broadcast(5.55035733e-2f);
  p = p * f + broadcast(2.40226492e-1f);
  p = p * f + broadcast(6.93147182e-1f);
  rest = p * f * power;
}

static const float log2_e = 1.44269504f;

static inline v8 sigmoid(v8 x) {
  v8 power, rest;
  power_of_two(x, -log2_e, power, rest);
  return broadcast(1.0f) / (broadcast(1.0f) + (power + rest));
}

// (e^2x - 1) / (e^2x + 1), through e^2x - 1, so that small x keep all their digits.
static inline v8 tanh(v8 x) {
  v8 power, rest;
  power_of_two(x, 2 * log2_e, power, rest);
  const v8 minus_one = rest + (power - broadcast(1.0f));
  return minus_one / (minus_one + broadcast(2.0f));
}

static inline v8 relu(v8 x) { return x < broadcast(0.0f) ? broadcast(0.0f) : x; }

}  // namespace seqclf
