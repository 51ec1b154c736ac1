"""The cells by name. To add one, add a file in this folder and list it here."""

from seqclf._cells.cell import Cell
from seqclf._cells.gru import GRU
from seqclf._cells.lstm import LSTM
from seqclf._cells.mgu import MGU
from seqclf._cells.rnn import RNN

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN, LSTM, GRU, MGU)}
