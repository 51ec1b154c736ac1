// Describes a cell to Python, which needs it for the sizes of buffers, and to test that both sides define the same cell.
#include "abi.h"
#include "cells/list.h"
#include "targets.h"

namespace seqclf {
namespace ISA {

bool describe_cell(const DescribeCell &call) {
  return for_cell(call.cell, [&](auto cell) {
    using Cell = decltype(cell);
    // Written one by one: GCC 12 copies a constant array {1, 1, 0, 0} with AVX-512 as four ones.
    int64_t *to = call.description;
    *to++ = Cell::gates;
    *to++ = Cell::slots;
    *to++ = Cell::saves != NOTHING;
    *to++ = Cell::has_memory;
    *to++ = Cell::has_recurrent_bias;
  });
}

}  // namespace ISA
}  // namespace seqclf
