"""`TrainingConfig`: how a network is trained, as plain values that a file can hold."""

from dataclasses import dataclass

# Those of `optimizers.py`, which imports torch.
OPTIMIZERS = ("adam", "adamw", "rmsprop", "adagrad", "sgd", "nesterov")
SCHEDULES = ("constant", "one_cycle")


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training, with the meaning that they have in the estimators.

    Parameters
    ----------
    optimizer, learning_rate, schedule, weight_decay, l1, max_grad_norm, batch_size, patience, tol, verbose
        As in the estimators.
    max_epochs : int
        The largest number of epochs.
    step_name : str
        What the history calls the steps that were read.
    """

    optimizer: str
    learning_rate: float
    schedule: str
    weight_decay: float
    l1: float
    max_grad_norm: float | None
    batch_size: int
    max_epochs: int
    patience: int | None
    tol: float
    verbose: int
    step_name: str
