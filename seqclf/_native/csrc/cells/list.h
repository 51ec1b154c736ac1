// Every cell with its code (the same as in _cells/). Nothing else in C++ names a cell.
#pragma once
#include <stdint.h>

#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/mgu.h"
#include "cells/rnn.h"

#define SEQCLF_CELLS(CELL) \
  CELL(0, Rnn)             \
  CELL(1, Lstm)            \
  CELL(2, Gru)             \
  CELL(3, Mgu)

namespace seqclf {
namespace ISA {

// Calls work(Cell()) for the cell with this code; false if there is none.
template <class Work> static inline bool for_cell(int64_t code, Work work) {
  switch (code) {
#define SEQCLF_CASE(number, Cell) \
  case number: work(Cell()); return true;
    SEQCLF_CELLS(SEQCLF_CASE)
#undef SEQCLF_CASE
    default: return false;
  }
}

}  // namespace ISA
}  // namespace seqclf
