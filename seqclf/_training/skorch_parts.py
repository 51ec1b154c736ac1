"""The parts of skorch that are used, imported in one place that explains why they can't be imported with -OO."""

import sys

if sys.flags.optimize > 1:
    raise ImportError(
        "The estimators of seqclf can't be imported with python -OO (or PYTHONOPTIMIZE=2), which removes docstrings: "
        "skorch, which trains the networks, reads its own docstrings when it is imported. Use python -O."
    )

from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer
from skorch.helper import predefined_split
from skorch.history import History
from skorch.utils import TeeGenerator

__all__ = ["Callback", "EpochTimer", "History", "NeuralNet", "TeeGenerator", "predefined_split"]
