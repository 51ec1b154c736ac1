// The final linear layer. Compiled like recurrence/forward.cpp.
#include "abi.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

void linear(const Linear &call) {
  for (int64_t row = 0; row < call.n_rows; row++)
    for (int64_t output = 0; output < call.n_outputs; output++) {
      double sum = call.bias[output];
      for (int64_t k = 0; k < call.n_inputs; k++)
        sum += (double)call.values[row * call.n_inputs + k] * call.weight[output * call.n_inputs + k];
      call.outputs[row * call.n_outputs + output] = sum;
    }
}

}  // namespace ISA
}  // namespace seqclf
