// Eight floats at a time, in the compiler's own vector type: one source for every processor.
#pragma once
#include <stdint.h>
#include <string.h>

namespace seqclf {

typedef float v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t i8 __attribute__((vector_size(32)));

static inline v8 load(const float *p) { return *(const v8 *)p; }
static inline void store(float *p, v8 a) { *(v8 *)p = a; }
static inline v8 broadcast(float a) { return (v8){a, a, a, a, a, a, a, a}; }

// exp(x) - 1 as a pair: 2^n and (2^n)(exp(r) - 1), with x = n log 2 + r and |r| <= log(2) / 2. The polynomial is the
// Taylor series, whose last term is below 2e-8 there. NaN goes through; beyond +-87 the exponent is held, which is far
// in the saturated parts of what is built on it.
static inline void exp_parts(v8 x, v8 &power, v8 &rest) {
  x = x < broadcast(-87.0f) ? broadcast(-87.0f) : x;
  x = x > broadcast(87.0f) ? broadcast(87.0f) : x;
  const v8 magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  v8 n = (x * broadcast(1.44269504f) + magic) - magic;
  v8 r = x - n * broadcast(0.693359375f);  // log 2 in two parts, the first exact in n
  r = r - n * broadcast(-2.12194440e-4f);
  v8 p = broadcast(1.0f / 5040);
  p = p * r + broadcast(1.0f / 720);
  p = p * r + broadcast(1.0f / 120);
  p = p * r + broadcast(1.0f / 24);
  p = p * r + broadcast(1.0f / 6);
  p = p * r + broadcast(0.5f);
  p = p * r * r + r;
  i8 e = (__builtin_convertvector(n, i8) + 127) << 23;
  memcpy(&power, &e, sizeof power);
  rest = p * power;
}

static inline v8 sigmoid(v8 x) {
  v8 power, rest;
  exp_parts(-x, power, rest);
  return broadcast(1.0f) / (broadcast(1.0f) + (power + rest));
}

// (e^2x - 1) / (e^2x + 1), through e^2x - 1, so that small x keep all their digits.
static inline v8 tanh(v8 x) {
  v8 power, rest;
  exp_parts(x + x, power, rest);
  v8 minus_one = rest + (power - broadcast(1.0f));
  return minus_one / (minus_one + broadcast(2.0f));
}

static inline v8 relu(v8 x) { return x < broadcast(0.0f) ? broadcast(0.0f) : x; }

}  // namespace seqclf
