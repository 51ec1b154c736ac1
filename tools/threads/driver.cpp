// Calls the library from several threads at once, for ThreadSanitizer (tools/sanitize threads): forward and backward passes of
// each cell, pooling and optimizer updates, on one to four threads each, while some allocations fail. Each result has to equal
// that of the same call alone. ThreadSanitizer detects races that do not change a result.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "abi.h"

typedef std::vector<float> Floats;
typedef std::vector<int64_t> Ints;

static void *library;

template <class Call> static int64_t call(const char *name, const Call &structure) {
  void *const function = dlsym(library, (std::string("seqclf_") + name).c_str());
  if (!function) fprintf(stderr, "the library has no %s\n", name), exit(3);
  return ((int64_t (*)(const Call *))function)(&structure);
}

static Floats random_values(int64_t n, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, 0.3f);
  Floats values(n);
  for (float &value : values) value = normal(engine);
  return values;
}

static const int64_t n_rows = 40, n_times = 12, n_steps = n_rows * n_times, units = 20, width = 24, n_inputs = 5;

struct Steps {
  Ints batch_sizes = Ints(n_times, n_rows), time_offsets = Ints(n_times + 1);
  Steps() {
    for (int64_t time = 0; time <= n_times; time++) time_offsets[time] = time * n_rows;
  }
  Batch batch() const { return {n_rows, n_times, batch_sizes.data(), time_offsets.data()}; }
};

// The result of a call, or nothing if it ran out of memory.
typedef std::function<Floats(int64_t n_threads)> Work;

static Floats train_layer(int64_t cell, int64_t n_threads) {
  int64_t description[5];
  call("describe_cell", DescribeCell{cell, description});
  const int64_t n_gates = description[0], n_slots = description[1], n_weight_rows = n_gates * units;
  const Steps steps;
  const Floats inputs = random_values(n_steps * n_inputs, 1), weight_input = random_values(n_weight_rows * n_inputs, 2);
  const Floats weight_recurrent = random_values(n_weight_rows * units, 3), bias = random_values(n_weight_rows, 4);
  Floats outputs(n_steps * 2 * width), gates(2 * n_steps * width * n_slots), memory(2 * n_steps * width);
  Layer layer{cell, 0, units, 2, 0, n_inputs, {}};
  for (int64_t i = 0; i < 2; i++)
    layer.directions[i] = {i, weight_input.data(), weight_recurrent.data(), bias.data(), bias.data(), nullptr};
  const Inputs layer_inputs{inputs.data(), nullptr, nullptr, nullptr};
  if (call("forward", Forward{steps.batch(), layer, layer_inputs, outputs.data(), gates.data(), memory.data(), n_threads}))
    return {};
  const Floats grad_outputs = random_values(n_steps * 2 * units, 5);
  Floats found = outputs, grad_inputs(n_steps * n_inputs), grads[2][4];
  Backward backward{
      steps.batch(),      layer, layer_inputs, outputs.data(), memory.data(), gates.data(), grad_outputs.data(), 2 * units,
      grad_inputs.data(), {},    n_threads};
  for (int64_t i = 0; i < 2; i++) {
    grads[i][0].resize(weight_input.size()), grads[i][1].resize(weight_recurrent.size());
    grads[i][2].resize(n_weight_rows), grads[i][3].resize(n_weight_rows);
    backward.gradients[i] = {grads[i][0].data(), grads[i][1].data(), grads[i][2].data(), grads[i][3].data()};
  }
  if (call("backward", backward)) return {};
  found.insert(found.end(), grad_inputs.begin(), grad_inputs.end());
  for (auto &direction : grads)
    for (Floats &each : direction) found.insert(found.end(), each.begin(), each.end());
  return found;
}

static Floats pool(int64_t kind, int64_t n_threads) {
  const Steps steps;
  const Floats values = random_values(n_steps * units, 6);
  Floats pooled(n_rows * units);
  const Pooling pooling{steps.batch(), kind,          units,   units,   values.data(), nullptr,
                        nullptr,       pooled.data(), nullptr, nullptr, n_threads};
  return call("pool", pooling) ? Floats() : pooled;
}

static Floats optimize(int64_t n_threads) {
  const int64_t n = 50000;
  Floats values = random_values(n, 7), mean(n), square(n), gradient = random_values(n, 8);
  float n_updates = 0;
  Parameter parameter = {};
  parameter.n_rows = parameter.n_touched = 1;
  parameter.dim = n;
  parameter.values = values.data(), parameter.mean = mean.data(), parameter.square = square.data();
  parameter.n_updates = &n_updates, parameter.gradient = gradient.data();
  parameter.learning_rate = 0.01, parameter.momentum = 0.9, parameter.decay = 0.999, parameter.eps = 1e-8;
  const int64_t adam = 4;
  return call("optimize", OptimizerUpdate{adam, 1, &parameter, 1.0, n_threads}) == 1 ? values : Floats();
}

int main(int n_arguments, char **arguments) {
  const double seconds = n_arguments > 2 ? atof(arguments[2]) : 20;
  if (n_arguments < 2 || !(library = dlopen(arguments[1], RTLD_NOW)))
    return fprintf(stderr, "usage: driver LIBRARY [SECONDS]: %s\n", dlerror()), 3;
  const auto fail_allocation = (int64_t (*)(int64_t))dlsym(library, "seqclf_fail_allocation");

  std::vector<Work> works = {optimize, [](int64_t n) { return pool(0, n); }, [](int64_t n) { return pool(1, n); }};
  int64_t description[5];
  for (int64_t cell = 0; call("describe_cell", DescribeCell{cell, description}); cell++)
    works.push_back([cell](int64_t n) { return train_layer(cell, n); });
  const int64_t max_threads = 4;
  std::vector<std::vector<Floats>> expected;
  for (const Work &work : works) {
    expected.emplace_back();
    for (int64_t n = 1; n <= max_threads; n++) expected.back().push_back(work(n));
  }

  std::atomic<bool> stop{false};
  std::atomic<int64_t> n_calls{0}, n_failed{0}, n_wrong{0};
  std::vector<std::thread> threads;
  for (unsigned caller = 0; caller < 4; caller++)
    threads.emplace_back([&, caller] {
      std::mt19937 engine(caller);
      while (!stop) {
        const size_t index = engine() % works.size();
        const int64_t n = 1 + (int64_t)(engine() % max_threads);
        const Floats found = works[index](n), &wanted = expected[index][(size_t)n - 1];
        n_calls++;
        if (found.empty())
          n_failed++;
        else if (found.size() != wanted.size() || memcmp(found.data(), wanted.data(), found.size() * sizeof(float)))
          n_wrong++;
      }
    });
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::mt19937 engine(99);
  while (std::chrono::steady_clock::now() < end) {
    fail_allocation(1 + (int64_t)(engine() % 200));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  fail_allocation(0);
  stop = true;
  for (std::thread &thread : threads) thread.join();
  printf("%lld calls of %zu kinds: %lld ran out of memory, %lld wrong\n", (long long)n_calls, works.size(), (long long)n_failed,
         (long long)n_wrong);
  return n_wrong || !n_failed || n_failed == n_calls;
}
