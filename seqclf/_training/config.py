"""`TrainingConfig`: the settings of a training, as plain values that can be saved."""

from dataclasses import dataclass

# The optimisers in `optimizers.py`, which can't be imported here because it imports torch.
OPTIMIZERS = ("adam", "adamw", "rmsprop", "adagrad", "sgd", "nesterov")
SCHEDULES = ("constant", "one_cycle")


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training.

    Parameters
    ----------
    optimizer, learning_rate, schedule, weight_decay, l1, max_grad_norm, batch_size, patience, tol, verbose
        As in the estimators.
    max_epochs : int
        The maximum number of epochs.
    step_name : str
        The name of the number of steps in the history.
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
