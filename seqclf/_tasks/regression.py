"""`Regression`: one or several numbers for each sequence."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from seqclf._saved import Saved, State
from seqclf._tasks.task import Task
from seqclf._validation.containers import shorten
from seqclf._validation.numeric_targets import validate_numeric_targets

if TYPE_CHECKING:
    from torch import Tensor

    from seqclf._label_features.supervision import Calibration

Array = NDArray[Any]
Floats = NDArray[np.float64]

# The function of torch.nn.functional for each loss.
_LOSSES = {"squared_error": "mse_loss", "absolute_error": "l1_loss", "huber": "huber_loss"}
LOSSES = tuple(_LOSSES)
_ARRAYS = ("center", "scale", "low", "high")
# The central 90 % of a normal distribution are within an interval of this many standard deviations.
_CENTRAL_FRACTION, _CENTRAL_WIDTH = 0.9, 3.2897
# With a robust loss, label features are fitted to standardised targets clipped to this absolute value.
_MAX_TARGET = 3.0
# After this many rounds, iteratively reweighted least squares is close to the line of least absolute error.
_N_ROUNDS = 30
_SMALLEST_ERROR = 1e-3
_MAX_SLOPE = 10.0


class Regression(Task):
    """Regression of standardised targets.

    For squared errors, targets are standardised by their mean and standard deviation. For the losses that are robust
    to outliers, they are standardised by their median and the distance between their 5 % and 95 % quantiles.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber"}
        "huber" is half the squared error for errors up to 1, and the absolute error minus 0.5 for larger ones [1]_.

    Attributes
    ----------
    center, scale : ndarray of shape (n_targets,)
        Targets are standardised as ``(y - center) / scale``; the scale of a constant target is 0.
    low, high : ndarray of shape (n_targets,)
        The range of the targets of the training rows; predictions are clipped to it.

    References
    ----------
    .. [1] P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35 (1964).
    """

    kind = "numbers"
    score_name = "R squared"
    # With 70 to 200 noisy series, adding half of the network's outputs was as good as adding all of them, or better.
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
        """One per target."""
        return len(self.center)

    def validate(self, y: Any, rows: Any, *, name: str = "y", rows_name: str = "X") -> Floats:
        """Check that y holds finite numbers, in the shape (n_rows,) or (n_rows, n_targets)."""
        return validate_numeric_targets(y, len(rows), name=name, rows_name=rows_name)

    def fit(self, y: Any, weights: Floats) -> Array:
        """Fit center, scale and range, and standardise the targets."""
        self.is_column = y.ndim == 1
        targets = y.reshape(len(y), -1)
        self.low, self.high = targets.min(axis=0), targets.max(axis=0)
        # Dividing by the largest value keeps squares from overflowing or underflowing.
        largest = np.maximum(-self.low, self.high)
        largest[largest == 0] = 1.0
        scaled = targets / largest
        if self.loss == "squared_error":
            center = np.average(scaled, axis=0, weights=weights)
            scale = np.sqrt(np.average((scaled - center) ** 2, axis=0, weights=weights))
        else:
            center = _quantiles(scaled, weights, 0.5)
            lower, upper = (_quantiles(scaled, weights, (1 + side * _CENTRAL_FRACTION) / 2) for side in (-1, 1))
            scale = (upper - lower) / _CENTRAL_WIDTH
            # It is 0 if nearly all targets are equal.
            scale = np.where(scale > 0, scale, np.average(np.abs(scaled - center), axis=0, weights=weights))
        is_constant = self.low == self.high
        self.center = np.where(is_constant, self.low, center * largest)
        self.scale = np.where(is_constant, 0.0, scale * largest)
        return self.encode(y)

    def fit_first_chunk(self, y: Any, weights: Floats, classes: Any) -> Array:
        """Fit the standardisation to the first chunk, in which no target can be constant."""
        targets = self.fit(y, weights)
        if (self.scale == 0).any():
            column = int(np.argmax(self.scale == 0))
            which = "" if self.is_column else f" in column {column}"
            raise ValueError(
                f"y holds only {shorten(self.center[column].item())}{which}: partial_fit takes the scale of targets "
                "from its first chunk. Start with a chunk of different targets."
            )
        return targets

    def encode_chunk(self, y: Any) -> Array:
        """Standardise targets, and extend the range of predictions to them."""
        encoded = self.encode(y)
        self._extend_range(y)
        return encoded

    def encode(self, y: Any, *, name: str = "y") -> Array:
        """Standardised targets, (n_rows, n_targets); another number of targets raises an error."""
        if (y.ndim == 1) != self.is_column or y.size != len(y) * self.n_outputs:
            expected = f"({len(y)},)" if self.is_column else f"({len(y)}, {self.n_outputs})"
            raise ValueError(f"{name} has the shape {y.shape}: expected {expected}, as many targets per row as in fit.")
        with np.errstate(over="ignore"):
            targets = self._standardise(y.reshape(len(y), -1)).astype(np.float32)
        too_large = ~np.isfinite(targets).all(axis=1)
        if too_large.any():
            row = int(np.argmax(too_large))
            raise ValueError(
                f"{name} holds {shorten(y[row].tolist())} in row {row}, which is too far from the other targets for "
                "float32: distances between targets should differ by a factor of less than 1e38. Leave the row out, or "
                "use the logarithms of the targets."
            )
        return targets

    def _standardise(self, targets: Floats) -> Floats:
        standardised: Floats = (targets - self.center) / np.where(self.scale > 0, self.scale, 1.0)
        return standardised

    def continue_from(self, before: Self, classes: Any) -> None:
        """Keep the standardisation of the earlier chunks; the loss can change."""
        vars(self).update(vars(before) | {"loss": self.loss})

    def refit(self, y: Any, before: Self) -> Array:
        """Standardise targets as in the first fit, and extend the range of predictions to them."""
        self.continue_from(before, None)
        encoded = self.encode(y)
        self._extend_range(y)
        return encoded

    def _extend_range(self, y: Any) -> None:
        """Extend the range of predictions to these targets, except for constant targets."""
        targets = y.reshape(len(y), -1)
        varies = self.scale > 0
        self.low = np.where(varies, np.minimum(self.low, targets.min(axis=0)), self.low)
        self.high = np.where(varies, np.maximum(self.high, targets.max(axis=0)), self.high)

    @property
    def _bounds(self) -> tuple[Floats, Floats]:
        """The range of standardised targets."""
        return self._standardise(self.low), self._standardise(self.high)

    def attributes(self) -> dict[str, Any]:
        """Center and scale of the targets."""
        return {"target_center_": self.center, "target_scale_": self.scale}

    def supervision_targets(self, targets: Any) -> Floats:
        """The standardised targets, clipped if the loss is robust to outliers."""
        values = targets.astype(np.float64)
        return values if self.loss == "squared_error" else np.clip(values, -_MAX_TARGET, _MAX_TARGET)

    def calibrate(self, scores: Array, targets: Any, weights: Floats) -> "Calibration":
        """For each target, the line of least loss with a slope of at least 0."""
        import torch

        from seqclf._label_features.supervision import Calibration

        scores, targets = scores.astype(np.float64), targets.astype(np.float64)
        low, high = self._bounds
        lines = [self._fit_line(scores[:, i], targets[:, i], weights) for i in range(self.n_outputs)]
        slope, offset = map(np.array, zip(*lines, strict=True))
        line = Calibration(slope, offset, np.nan, low, high)
        losses = self.losses(torch.from_numpy(line.estimates(scores)), torch.from_numpy(targets))
        return line._replace(loss=float(np.average(losses.numpy(), weights=weights)))

    def _fit_line(self, scores: Floats, targets: Floats, weights: Floats) -> tuple[float, float]:
        """Slope and offset, by least squares; for robust losses, reweighted by the errors of the previous round."""
        slope = offset = 0.0
        influence = weights
        for _ in range(1 if self.loss == "squared_error" else _N_ROUNDS):
            # without BLAS: its order of summation depends on the number of threads
            mean = np.average(scores, weights=influence)
            variance = np.average((scores - mean) ** 2, weights=influence)
            # Scores that are equal except for rounding are not informative.
            varies = variance > 1e-12 * np.average(scores**2, weights=influence)
            slope = np.average((scores - mean) * targets, weights=influence) / variance if varies else 0.0
            slope = min(max(slope, 0.0), _MAX_SLOPE)
            offset = np.average(targets, weights=influence) - slope * mean
            smallest = 1.0 if self.loss == "huber" else _SMALLEST_ERROR
            influence = weights / np.maximum(np.abs(targets - offset - slope * scores), smallest)
        return slope, offset

    def losses(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """For each row, the mean loss over its targets, except those that were constant in fit."""
        import torch

        loss = getattr(torch.nn.functional, _LOSSES[self.loss])
        errors: Tensor = loss(outputs, targets.to(outputs.dtype), reduction="none")
        varies = torch.from_numpy(self.scale > 0).to(outputs)
        return errors @ (varies / varies.sum().clamp(min=1))

    def summarise(self, outputs: "Tensor") -> "Tensor":
        """The standardised predictions."""
        import torch

        low, high = (torch.from_numpy(bound).to(outputs) for bound in self._bounds)
        return torch.clamp(outputs, low, high)

    def score(self, summaries: "Tensor", targets: "Tensor", weights: "Tensor") -> "Tensor":
        """The mean R squared over the targets; 1 for a target that was constant in fit, which is predicted exactly."""
        import torch

        outputs, targets = (each.cpu().to(torch.float64) for each in (summaries, targets))
        fractions = weights / weights.sum()
        residual, total = fractions @ (outputs - targets) ** 2, fractions @ (targets - fractions @ targets) ** 2
        explained = torch.where(total > 0, 1 - residual / total, (residual == 0).to(torch.float64))
        return torch.where(torch.from_numpy(self.scale > 0), explained, 1.0).mean()

    def decode(self, outputs: Array) -> Floats:
        """Predictions in the units of the targets, with the number of dimensions of y."""
        predictions: Floats = np.clip(outputs * self.scale + self.center, self.low, self.high)
        return predictions[:, 0] if self.is_column else predictions

    def to_state(self) -> State:
        """Center and scale of targets, the range of predictions, whether y is one-dimensional, and the loss."""
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


def _quantiles(values: Floats, weights: Floats, fraction: float) -> Floats:
    """For each column, the smallest value for which the values up to it have this fraction of the weight."""
    order = np.argsort(values, axis=0, kind="stable")
    cumulative = np.cumsum(weights[order], axis=0)
    position = (cumulative >= fraction * cumulative[-1]).argmax(axis=0)
    quantiles: Floats = np.take_along_axis(values, order[position, np.arange(values.shape[1])][None], axis=0)[0]
    return quantiles
