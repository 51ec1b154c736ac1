// A single activation. Python uses it to test whether the activation exists and is the same function on both sides.
#include "abi.h"
#include "activations.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

bool activate(const Activate &call) {
  return for_activation(call.activation, [&](auto activation) {
    using Activation = decltype(activation);
    for (int64_t i = 0; i < call.n; i += 8) {
      const v8 value = Activation::value(load(call.inputs + i));
      store(call.values + i, value);
      store(call.slopes + i, Activation::times_slope(broadcast(1.0f), value));
    }
  });
}

}  // namespace ISA
}  // namespace seqclf
