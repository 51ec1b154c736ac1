// Counts how often the outputs of convolutions exceed biases. Compiled like recurrence/forward.cpp.
//
// A convolution has nine taps: three of weight 2, six of weight -1. Its output is three times the sum of the three taps, minus
// the sum of all nine, which is the same for all convolutions of a dilation. The weights add up to 0, so the middle tap can be
// subtracted from each tap: then a constant segment gives exactly 0, and small variations at a high level keep their precision.
// There are only additions here, which the compiler cannot contract to fused multiply-adds: every processor gives the same
// results.
#include "abi.h"
#include "aligned_buffer.h"
#include "parallel.h"
#include "simd.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

static const int64_t n_taps = 9;

// One series, channel by channel, padded with zeros on both sides for the taps of the first and last steps.
struct PaddedSeries {
  int64_t length, n_channels, largest_dilation, stride;
  Buffer<float> memory;

  PaddedSeries(const float *values, int64_t n_steps, int64_t channels)
      : length(n_steps), n_channels(channels), largest_dilation((length - 1) / (n_taps - 1)) {
    stride = length + (n_taps - 1) * largest_dilation;
    memory.allocate(n_channels * stride);
    for (int64_t channel = 0; channel < n_channels; channel++) {
      float *to = memory.data() + channel * stride + n_taps / 2 * largest_dilation;
      for (int64_t t = 0; t < length; t++) to[t] = values[t * n_channels + channel];
    }
  }

  // The values at the tap, for each step.
  const float *shifted(int64_t channel, int64_t tap, int64_t dilation) const {
    return memory.data() + channel * stride + n_taps / 2 * largest_dilation + (tap - n_taps / 2) * dilation;
  }
};

// The sum of all taps minus nine times the middle one, at each step of each channel.
static void sum_taps(const PaddedSeries &series, int64_t dilation, float *sums) {
  for (int64_t channel = 0; channel < series.n_channels; channel++, sums += series.length) {
    const float *middle = series.shifted(channel, n_taps / 2, dilation);
    for (int64_t tap = 0; tap < n_taps; tap++) {
      const float *values = series.shifted(channel, tap, dilation);
      for (int64_t t = 0; t < series.length; t++) sums[t] = (tap ? sums[t] : 0) + (values[t] - middle[t]);
    }
  }
}

// The output of a convolution at each step, summed over its channels.
static void convolve_once(const Convolutions &call, int64_t i, const PaddedSeries &series, const float *sums, float *output) {
  for (int64_t k = call.channel_offsets[i]; k < call.channel_offsets[i + 1]; k++) {
    const int64_t channel = call.channels[k], *taps = call.taps + 3 * i, dilation = call.dilations[i];
    const float *a = series.shifted(channel, taps[0], dilation);
    const float *b = series.shifted(channel, taps[1], dilation);
    const float *c = series.shifted(channel, taps[2], dilation);
    const float *middle = series.shifted(channel, n_taps / 2, dilation);
    const float *sum = sums + channel * series.length;
    const bool first = k == call.channel_offsets[i];
    for (int64_t t = 0; t < series.length; t++) {
      const float three = (a[t] - middle[t]) + (b[t] - middle[t]) + (c[t] - middle[t]);
      const float here = three + three + three - sum[t];
      output[t] = first ? here : output[t] + here;
    }
  }
}

// For each bias the fraction of the n values that exceed it, and the length of the longest run of such values as a fraction of
// n. The lanes of a vector are eight biases; few convolutions have more.
static void compare(const float *values, int64_t n, const float *biases, int64_t n_biases, float *above, float *longest) {
  typedef int32_t i8 __attribute__((vector_size(32)));
  for (int64_t first = 0; first < n_biases; first += lanes<v8>) {
    const int64_t n_here = n_biases - first < lanes<v8> ? n_biases - first : lanes<v8>;
    v8 bias = {0};
    for (int64_t k = 0; k < n_here; k++) bias[k] = biases[first + k];
    i8 count = {0}, run = {0}, longest_run = {0};
    for (int64_t t = 0; t < n; t++) {
      const i8 is_above = (i8)(broadcast(values[t]) > bias);  // -1 if true
      count -= is_above;
      run = (run - is_above) & is_above;
      longest_run = run > longest_run ? run : longest_run;
    }
    for (int64_t k = 0; k < n_here; k++) {
      above[first + k] = (float)count[k] / (float)n;
      longest[first + k] = (float)longest_run[k] / (float)n;
    }
  }
}

static void convolve_series(const Convolutions &call, int64_t row) {
  const int64_t start = call.offsets[row], length = call.offsets[row + 1] - start;
  if (length < n_taps) return;
  const PaddedSeries series(call.values + start * call.n_channels, length, call.n_channels);
  const Buffer<float> sums(series.n_channels * length), output(length);
  float *above = call.features + row * call.stride, *longest = above + call.n_biases;
  int64_t summed_dilation = 0;
  for (int64_t i = 0; i < call.n_convolutions; i++) {
    const int64_t dilation = call.dilations[i];
    if (dilation > series.largest_dilation) continue;
    if (dilation != summed_dilation) sum_taps(series, summed_dilation = dilation, sums.data());
    convolve_once(call, i, series, sums.data(), output.data());
    const int64_t margin = call.padded[i] ? 0 : n_taps / 2 * dilation, n = length - 2 * margin;
    const int64_t first = call.bias_offsets[i], n_biases = call.bias_offsets[i + 1] - first;
    compare(output.data() + margin, n, call.biases + first, n_biases, above + first, longest + first);
  }
}

// A partition is one series.
void convolve(const Convolutions &call) {
  parallel_for(call.n_threads, call.n_series, [&](int64_t row) { convolve_series(call, row); });
}

}  // namespace ISA
}  // namespace seqclf
