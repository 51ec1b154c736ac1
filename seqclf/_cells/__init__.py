"""Cells and activations: each is one equation that works on numpy arrays and on torch tensors. torch is not imported.

`__all__` lists the names that other folders use. To add a cell, add a file here and list it in `cells.py`.
"""

from seqclf._cells.activations import ACTIVATIONS
from seqclf._cells.cells import CELLS
from seqclf._cells.weights import Weights

__all__ = ["ACTIVATIONS", "CELLS", "Weights"]
