"""Convolutions of series, and how often and how long their outputs exceed biases: compiled, or in numpy.

The kernels are those of MiniRocket (Dempster, Schmidt & Webb 2021): nine taps, three of weight 2 and six of weight -1.
The distance between neighbouring taps is the dilation. Each bias yields two features: the fraction of steps at which
the output exceeds the bias, as in MiniRocket, and the longest run of such steps, as in MultiRocket (Tan, Dempster,
Bergmeir & Webb 2022). The fraction alone does not show whether those steps are adjacent. Each series is convolved at
its own length, and both features are fractions of its valid steps.

References
----------
A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time series
classification", KDD 2021.
C. W. Tan, A. Dempster, C. Bergmeir, G. I. Webb, "MultiRocket: multiple pooling operators and transformations for fast
and effective time series classification", Data Mining and Knowledge Discovery 36 (2022).
"""

import ctypes
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._native import abi, library
from seqclf._native.threads import chosen_threads
from seqclf._saved import Saved, State

N_TAPS = 9
# The taps of weight 2 in each of the 84 kernels.
KERNELS = np.array(list(combinations(range(N_TAPS), 3)), dtype=np.int64)

# No series has more steps; a saved dilation above this is rejected.
_MAX_STEPS = 2**40


@dataclass(frozen=True, eq=False)
class Convolutions:
    """Dilated kernels, each with its input channels and the biases that its outputs are compared with.

    Parameters
    ----------
    dilations : ndarray of shape (n_convolutions,), int64
        Convolutions of the same dilation are adjacent.
    taps : ndarray of shape (n_convolutions, 3), int64
        The taps of weight 2.
    padded : ndarray of shape (n_convolutions,), int64
        1 if the series is padded with zeros, so that all steps are valid; 0 if only those steps are valid at which all
        taps are inside the series.
    channels : Ragged of int64
        The channels of each convolution; its output is the sum over them.
    biases : Ragged of float32
        The biases of each convolution.
    """

    dilations: NDArray[np.int64]
    taps: NDArray[np.int64]
    padded: NDArray[np.int64]
    channels: Ragged
    biases: Ragged

    @property
    def needed_steps(self) -> NDArray[np.int64]:
        """The number of steps covered by the kernel of each bias, (n_biases,)."""
        return np.repeat(covered_steps(self.dilations), self.biases.lengths)

    def names(self) -> list[str]:
        """Names of the features, in column order."""
        convolutions = zip(self.taps.tolist(), self.dilations.tolist(), self.channels.items(), strict=True)
        kernels = [
            f"kernel {taps} at dilation {dilation} over channels {channels.tolist()}"
            for taps, dilation, channels in convolutions
        ]
        kernel_of_bias = np.repeat(kernels, self.biases.lengths)
        biases = self.biases.values.tolist()
        return [
            f"{statistic} above {bias:.3g}: {kernel}"
            for statistic in ("share", "longest stretch")
            for kernel, bias in zip(kernel_of_bias, biases, strict=True)
        ]

    def write_features(self, series: Ragged, features: NDArray[np.float32]) -> None:
        """Write the fractions and the longest runs into `features`, (n_series, 2, n_biases).

        Features whose kernel is longer than the series are left unchanged.

        Parameters
        ----------
        series : Ragged of shape (n_steps, n_channels)
            Must not contain NaN.
        features : ndarray
            The features of each series must be contiguous.
        """
        series = Ragged(np.ascontiguousarray(series.values, dtype=np.float32), series.lengths)
        if library.is_wanted():
            write_compiled(self, series, features)
        else:
            write_plain(self, series, features)

    def to_state(self) -> State:
        """The state to save."""
        return {
            "dilations": self.dilations,
            "taps": self.taps,
            "padded": self.padded,
            "channels": self.channels.values,
            "n_channels": self.channels.lengths,
            "biases": self.biases.values,
            "n_biases": self.biases.lengths,
        }

    @classmethod
    def from_state(cls, saved: Saved, n_channels: int) -> "Convolutions":
        """Restore convolutions of series with `n_channels` channels."""
        dilations = saved.array("dilations", np.int64, (None,), low=1, high=_MAX_STEPS)
        n = len(dilations)
        channels = saved.array("channels", np.int64, (None,), low=0, high=n_channels - 1)
        biases = saved.array("biases", np.float32, (None,))
        n_inputs = saved.array("n_channels", np.int64, (n,), low=1, high=len(channels))
        n_biases = saved.array("n_biases", np.int64, (n,), low=1, high=len(biases))
        saved.require(int(n_inputs.sum()) == len(channels), "n_channels does not add up to the number of channels")
        saved.require(int(n_biases.sum()) == len(biases), "n_biases does not add up to the number of biases")
        return cls(
            dilations=dilations,
            taps=saved.array("taps", np.int64, (n, 3), low=0, high=N_TAPS - 1),
            padded=saved.array("padded", np.int64, (n,), low=0, high=1),
            channels=Ragged(channels, n_inputs),
            biases=Ragged(biases, n_biases),
        )


def covered_steps(dilations: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of steps from the first tap to the last, both included."""
    return (N_TAPS - 1) * dilations + 1


def write_compiled(convolutions: Convolutions, series: Ragged, features: NDArray[np.float32]) -> None:
    """Write the features with the compiled library; `series` is contiguous float32."""
    loaded, text = library.load()
    if loaded is None:
        raise RuntimeError(f"There are no compiled kernels: {text}.")
    call = abi.Convolutions(
        n_series=len(series),
        n_channels=series.n_channels,
        values=abi.address(series.values),
        offsets=abi.address(series.offsets),
        n_convolutions=len(convolutions.dilations),
        n_biases=convolutions.biases.n_steps,
        dilations=abi.address(convolutions.dilations),
        taps=abi.address(convolutions.taps),
        padded=abi.address(convolutions.padded),
        channel_offsets=abi.address(convolutions.channels.offsets),
        channels=abi.address(convolutions.channels.values),
        bias_offsets=abi.address(convolutions.biases.offsets),
        biases=abi.address(convolutions.biases.values),
        features=abi.address(features),
        stride=features.strides[0] // features.itemsize,
        n_threads=chosen_threads() or 1,
    )
    loaded.seqclf_convolve(ctypes.byref(call))


def write_plain(convolutions: Convolutions, series: Ragged, features: NDArray[np.float32]) -> None:
    """Write the same features with numpy."""
    needed = covered_steps(convolutions.dilations)
    spans = list(pairwise(convolutions.biases.offsets.tolist()))
    for row, values in enumerate(series.items()):
        for i in np.flatnonzero(needed <= len(values)).tolist():
            biases = slice(*spans[i])
            is_above = convolve(convolutions, i, values) > convolutions.biases.values[biases, None]
            n = np.float32(is_above.shape[1])
            features[row, 0, biases] = is_above.sum(axis=1).astype(np.float32) / n
            features[row, 1, biases] = _longest_runs(is_above).astype(np.float32) / n


def convolve(convolutions: Convolutions, i: int, values: NDArray[np.float32], every: int = 1) -> NDArray[np.float32]:
    """The outputs of convolution `i` at the valid steps of one series, or at every `every`-th of them.

    `values` is (n_steps, n_channels).
    """
    dilation, channels = int(convolutions.dilations[i]), convolutions.channels
    margin = N_TAPS // 2 * dilation
    inputs = channels.values[channels.offsets[i] : channels.offsets[i + 1]]
    padded = np.pad(values[:, inputs].T, [(0, 0), (margin, margin)])
    start, stop = (0, len(values)) if convolutions.padded[i] else (margin, len(values) - margin)
    taps = np.stack([padded[:, start + lag : stop + lag : every] for lag in range(0, 2 * margin + 1, dilation)])
    # The weights add up to 0, so the middle tap can be subtracted from each: constant values then give exactly 0.
    taps -= taps[N_TAPS // 2].copy()
    a, b, c = taps[convolutions.taps[i]]
    three = a + b + c
    return _sequential_sum(three + three + three - _sequential_sum(taps))


def _sequential_sum(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum along the first axis, in index order; ``np.sum`` guarantees no order."""
    total = values[0].copy()
    for value in values[1:]:
        total += value
    return total


def _longest_runs(is_above: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The length of the longest run of True along each row of the array."""
    run = np.zeros(len(is_above), dtype=np.int64)
    longest = run.copy()
    for column in is_above.T:
        run = (run + 1) * column
        np.maximum(longest, run, out=longest)
    return longest
