"""The cells and the activations: one equation each, for numpy arrays and for the tensors of torch. It imports no torch.

This list has the names of this folder that others use. A new cell is a file in this folder, and its name in `cells.py`.
"""

from seqclf._cells.activations import ACTIVATIONS
from seqclf._cells.cells import CELLS
from seqclf._cells.weights import Weights

__all__ = ["ACTIVATIONS", "CELLS", "Weights"]
