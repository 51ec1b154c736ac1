"""`Regression`: one or several numbers for each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State
from seqclf._tasks.task import Task
from seqclf._validation.containers import shorten
from seqclf._validation.target_numbers import check_numbers

if TYPE_CHECKING:
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]
Floats = NDArray[np.float64]

# The functions of torch.nn.functional.
_LOSSES = {"squared_error": "mse_loss", "absolute_error": "l1_loss", "huber": "huber_loss"}
LOSSES = tuple(_LOSSES)
_ARRAYS = ("center", "scale", "low", "high")
# A normal distribution has 90 % of its values in an interval of so many standard deviations.
_SHARE, _NORMAL = 0.9, 3.2897
# With a loss that outliers do not dominate, linear models and n-grams see targets no larger than this.
_MAX_SIZE = 3.0
# Weighted least squares come near to the line of the least absolute error after this many rounds.
_N_ROUNDS = 30
_SMALLEST_ERROR = 1e-3
_MAX_SLOPE = 10.0


class Regression(Task):
    """Errors of standardised targets.

    Targets are standardised by their mean and standard deviation, or, where large errors shall not dominate the loss,
    by their median and the distance between their quantiles 5 % and 95 %.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber"}
        "huber" is half the squared error up to an error of 1, and the absolute error less a half beyond [1]_.

    Attributes
    ----------
    center, scale : ndarray of shape (n_targets,)
        What is subtracted from targets, and what they are then divided by; a target that is constant has a scale of 0.
    low, high : ndarray of shape (n_targets,)
        The least and the largest target of the training rows: no prediction leaves this range.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).
    """

    kind = "numbers"
    score_name = "R squared"
    # With 70 to 200 noisy series half of what the network adds is as good as all of it, or better.
    prior_rows = 100.0
    center: Floats
    scale: Floats
    low: Floats
    high: Floats
    is_column: bool

    def __init__(self, loss: str = "squared_error"):
        self.loss = loss

    @property
    def n_outputs(self) -> int:
        """One for each target."""
        return len(self.center)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Floats:
        """Finite numbers, (n_rows,) or (n_rows, n_targets)."""
        return check_numbers(y, len(rows), name=name, rows_name=rows_name)

    def fit(self, y: Any, weights: Floats) -> Array:
        """Learn center and scale."""
        self.is_column = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self.low, self.high = targets.min(axis=0), targets.max(axis=0)
        # Divided by the largest, so that squares neither overflow nor vanish.
        largest = np.maximum(-self.low, self.high)
        largest[largest == 0] = 1.0
        scaled = targets / largest
        if self.loss == "squared_error":
            center = np.average(scaled, axis=0, weights=weights)
            scale = np.sqrt(np.average((scaled - center) ** 2, axis=0, weights=weights))
        else:
            center = _quantiles(scaled, weights, 0.5)
            least, most = (_quantiles(scaled, weights, (1 + side * _SHARE) / 2) for side in (-1, 1))
            scale = (most - least) / _NORMAL
            # Where nearly all targets are equal, it is 0.
            scale = np.where(scale > 0, scale, np.average(np.abs(scaled - center), axis=0, weights=weights))
        is_constant = self.low == self.high
        self.center = np.where(is_constant, self.low, center * largest)
        self.scale = np.where(is_constant, 0.0, scale * largest)
        return self.encode(y)

    def start(self, y: Any, weights: Floats, classes: Any) -> Array:
        """Targets are standardised as in the first chunk, where they must not all be equal."""
        targets = self.fit(y, weights)
        if (self.scale == 0).any():
            column = int(np.argmax(self.scale == 0))
            which = "" if self.is_column else f" in column {column}"
            raise ValueError(
                f"y holds nothing but {shorten(self.center[column].item())}{which}: partial_fit takes the scale of the "
                "targets from its first chunk. Begin with a chunk of different targets."
            )
        return targets

    def proceed(self, y: Any) -> Array:
        """Predictions may reach the targets of every chunk."""
        encoded = self.encode(y)
        self._reach(y)
        return encoded

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """Standardised targets, (n_rows, n_targets); another number of targets is an error."""
        if (y.ndim == 1) != self.is_column or y.size != len(y) * self.n_outputs:
            expected = f"({len(y)},)" if self.is_column else f"({len(y)}, {self.n_outputs})"
            raise ValueError(f"{name} has the shape {y.shape}, expected {expected}: as many targets a row as in fit.")
        with np.errstate(over="ignore"):
            targets = self._standardised(y.reshape(len(y), -1)).astype(np.float32)
        too_large = ~np.isfinite(targets).all(axis=1)
        if too_large.any():
            row = int(np.argmax(too_large))
            raise ValueError(
                f"{name} holds {shorten(y[row].tolist())} in row {row}, which is too far from the other targets to "
                "compute with in float32: their distances should differ by less than 1e38. Leave the row out, or learn "
                "the logarithms."
            )
        return targets

    def _standardised(self, targets: Floats) -> Floats:
        standardised: Floats = (targets - self.center) / np.where(self.scale > 0, self.scale, 1.0)
        return standardised

    def follow(self, before: Self, classes: Any) -> None:
        """Targets are standardised as before; the loss may change."""
        vars(self).update(vars(before) | {"loss": self.loss})

    def refit(self, y: Any, before: Self) -> Array:
        """Targets are standardised as in the first fit; predictions may reach the new ones too."""
        self.follow(before, None)
        encoded = self.encode(y)
        self._reach(y)
        return encoded

    def _reach(self, y: Any) -> None:
        """Let predictions reach those targets."""
        targets = y.reshape(len(y), -1)
        varies = self.scale > 0
        self.low = np.where(varies, np.minimum(self.low, targets.min(axis=0)), self.low)
        self.high = np.where(varies, np.maximum(self.high, targets.max(axis=0)), self.high)

    @property
    def _bounds(self) -> tuple[Floats, Floats]:
        """The range of standardised targets."""
        return self._standardised(self.low), self._standardised(self.high)

    def attributes(self) -> dict[str, Any]:
        """How targets are standardised."""
        return {"target_center_": self.center, "target_scale_": self.scale}

    def supervision_targets(self, targets: Any) -> Floats:
        """The targets; without outliers where the loss is not dominated by them."""
        numbers = targets.astype(np.float64)
        return numbers if self.loss == "squared_error" else np.clip(numbers, -_MAX_SIZE, _MAX_SIZE)

    def calibrate(self, scores: Array, targets: Any, weights: Floats) -> "Calibration":
        """For each target the line that does not fall, of the least loss."""
        import torch

        from seqclf._label_features.supervision import Calibration

        scores, targets = scores.astype(np.float64), targets.astype(np.float64)
        low, high = self._bounds
        lines = [self._line(scores[:, i], targets[:, i], weights) for i in range(self.n_outputs)]
        slope, offset = map(np.array, zip(*lines, strict=True))
        line = Calibration(slope, offset, np.nan, low, high)
        losses = self.losses(torch.from_numpy(line.estimates(scores)), torch.from_numpy(targets))
        return line._replace(loss=float(np.average(losses.numpy(), weights=weights)))

    def _line(self, scores: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
        """Slope and offset, by least squares whose weights fall with the errors of the round before."""
        slope = offset = 0.0
        influence = weights
        for _ in range(1 if self.loss == "squared_error" else _N_ROUNDS):
            # Without BLAS: the order of its sums depends on its threads.
            mean = np.average(scores, weights=influence)
            variance = np.average((scores - mean) ** 2, weights=influence)
            # Scores that are equal but for rounding say nothing.
            varies = variance > 1e-12 * np.average(scores**2, weights=influence)
            slope = np.average((scores - mean) * targets, weights=influence) / variance if varies else 0.0
            slope = min(max(slope, 0.0), _MAX_SLOPE)
            offset = np.average(targets, weights=influence) - slope * mean
            least = 1.0 if self.loss == "huber" else _SMALLEST_ERROR
            influence = weights / np.maximum(np.abs(targets - offset - slope * scores), least)
        return slope, offset

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The mean over the targets of each row's losses; one that was constant in fit has no part in it."""
        import torch

        loss = getattr(torch.nn.functional, _LOSSES[self.loss])
        errors: Tensor = loss(outputs, targets.to(outputs.dtype), reduction="none")
        varies = torch.from_numpy(self.scale > 0).to(outputs)
        return errors @ (varies / varies.sum().clamp(min=1))

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """What is predicted, standardised."""
        import torch

        low, high = (torch.from_numpy(bound).to(outputs) for bound in self._bounds)
        return torch.clamp(outputs, low, high)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """R squared, the mean over the targets; of a constant target 1, because it is predicted as it is."""
        import torch

        outputs, targets = (each.cpu().to(torch.float64) for each in (summaries, targets))
        shares = weights / weights.sum()
        residual, total = shares @ (outputs - targets) ** 2, shares @ (targets - shares @ targets) ** 2
        explained = torch.where(total > 0, 1 - residual / total, (residual == 0).to(torch.float64))
        return torch.where(torch.from_numpy(self.scale > 0), explained, 1.0).mean()

    def decode(self, outputs: Array) -> Floats:
        """Predictions in the units of the targets, in the form of y."""
        predictions: Floats = np.clip(outputs * self.scale + self.center, self.low, self.high)
        return predictions[:, 0] if self.is_column else predictions

    def to_state(self) -> State:
        """How targets are standardised, the range of predictions, the shape of y, and the loss."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {"kind": "regression", "loss": str.__str__(self.loss), "is_column": self.is_column, **arrays}

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The task of a saved state."""
        task = cls(saved.option("loss", LOSSES))
        task.is_column = saved.boolean("is_column")
        task.center = saved.array("center", np.float64, (1 if task.is_column else None,))
        saved.require(len(task.center) > 0, "center has no target")
        task.scale = saved.array("scale", np.float64, task.center.shape, low=0)
        task.low = saved.array("low", np.float64, task.center.shape)
        task.high = saved.array("high", np.float64, task.center.shape)
        saved.require(bool((task.low <= task.high).all()), "low is above high")
        return task


def _quantiles(values: Floats, weights: Floats, share: float) -> Floats:
    """For each column the least value up to which that share of the weight lies."""
    order = np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(weights[order], axis=0)
    place = (below >= share * below[-1]).argmax(axis=0)
    quantiles: Floats = np.take_along_axis(values, order[place, np.arange(values.shape[1])][None], axis=0)[0]
    return quantiles
