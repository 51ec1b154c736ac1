"""Every cell by its name. A new one is a file in this folder, and its name in this list."""

from seqclf._cells.cell import Cell
from seqclf._cells.gru import GRU
from seqclf._cells.lstm import LSTM
from seqclf._cells.mgu import MGU
from seqclf._cells.rnn import RNN

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN, LSTM, GRU, MGU)}
