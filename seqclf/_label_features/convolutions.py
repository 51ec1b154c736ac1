"""Convolutions of series, and how often and how long their outputs are above biases: compiled, or by numpy.

The kernels are MiniRocket's (Dempster, Schmidt & Webb 2021): nine taps, three of weight 2 and six of weight -1, at a
distance from each other that is called the dilation. For each bias there are two features: the share of steps at which
the output is above the bias, as in MiniRocket, and the longest stretch of such steps, which MultiRocket added (Tan,
Dempster, Bergmeir & Webb 2022). The share does not know whether those steps are neighbours. Each series is convolved at
its own length, and both features are shares of the steps that count.

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

# No series has more steps.
_MOST_STEPS = 2**40


@dataclass(frozen=True, eq=False)
class Convolutions:
    """Dilated kernels, each with the channels that it reads and the biases that its outputs are compared with.

    Parameters
    ----------
    dilations : ndarray of shape (n_convolutions,), int64
        Equal ones are neighbours.
    taps : ndarray of shape (n_convolutions, 3), int64
        The taps of weight 2.
    padded : ndarray of shape (n_convolutions,), int64
        1 if all steps count, with zeros around the series; 0 if only those count whose taps are all inside it.
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
        """The number of steps that the kernel of each bias covers, (n_biases,)."""
        return np.repeat(covered_steps(self.dilations), self.biases.lengths)

    def names(self) -> list[str]:
        """What each feature is, in the order in which a row has them."""
        columns = zip(self.taps.tolist(), self.dilations.tolist(), self.channels.items(), strict=True)
        kernels = [
            f"kernel {taps} at dilation {dilation} over channels {read.tolist()}" for taps, dilation, read in columns
        ]
        of_biases = np.repeat(kernels, self.biases.lengths)
        biases = self.biases.values.tolist()
        return [
            f"{what} above {bias:.3g}: {kernel}"
            for what in ("share", "longest stretch")
            for kernel, bias in zip(of_biases, biases, strict=True)
        ]

    def write_features(self, series: Ragged, features: NDArray[np.float32]) -> None:
        """Write the shares and the longest stretches into `features`, (n_series, 2, n_biases).

        Nothing is written where the kernel is longer than the series.

        Parameters
        ----------
        series : Ragged of shape (n_steps, n_channels)
            Numbers without NaN.
        features : ndarray
            Each series' numbers are contiguous.
        """
        series = Ragged(np.ascontiguousarray(series.values, dtype=np.float32), series.lengths)
        if library.is_wanted():
            write_compiled(self, series, features)
        else:
            write_plain(self, series, features)

    def to_state(self) -> State:
        """What is saved."""
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
        """The same convolutions, of series of so many channels."""
        dilations = saved.array("dilations", np.int64, (None,), low=1, high=_MOST_STEPS)
        n = len(dilations)
        channels = saved.array("channels", np.int64, (None,), low=0, high=n_channels - 1)
        biases = saved.array("biases", np.float32, (None,))
        read = saved.array("n_channels", np.int64, (n,), low=1, high=len(channels))
        compared = saved.array("n_biases", np.int64, (n,), low=1, high=len(biases))
        saved.require(int(read.sum()) == len(channels), "n_channels does not add up to the number of channels")
        saved.require(int(compared.sum()) == len(biases), "n_biases does not add up to the number of biases")
        return cls(
            dilations=dilations,
            taps=saved.array("taps", np.int64, (n, 3), low=0, high=N_TAPS - 1),
            padded=saved.array("padded", np.int64, (n,), low=0, high=1),
            channels=Ragged(channels, read),
            biases=Ragged(biases, compared),
        )


def covered_steps(dilations: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of steps from the first tap to the last one."""
    return (N_TAPS - 1) * dilations + 1


def write_compiled(convolutions: Convolutions, series: Ragged, features: NDArray[np.float32]) -> None:
    """Write the features by the compiled library; `series` is contiguous and of float32."""
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
    """Write the same features by numpy."""
    needed = covered_steps(convolutions.dilations)
    spans = list(pairwise(convolutions.biases.offsets.tolist()))
    for row, values in enumerate(series.items()):
        for i in np.flatnonzero(needed <= len(values)).tolist():
            biases = slice(*spans[i])
            is_above = convolve(convolutions, i, values) > convolutions.biases.values[biases, None]
            n = np.float32(is_above.shape[1])
            features[row, 0, biases] = is_above.sum(axis=1).astype(np.float32) / n
            features[row, 1, biases] = _longest_stretches(is_above).astype(np.float32) / n


def convolve(convolutions: Convolutions, i: int, values: NDArray[np.float32], every: int = 1) -> NDArray[np.float32]:
    """The outputs of a convolution at the steps of a series that count, or at every second or third one and so on.

    `values` is (n_steps, n_channels).
    """
    dilation, channels = int(convolutions.dilations[i]), convolutions.channels
    margin = N_TAPS // 2 * dilation
    read = channels.values[channels.offsets[i] : channels.offsets[i + 1]]
    padded = np.pad(values[:, read].T, [(0, 0), (margin, margin)])
    start, stop = (0, len(values)) if convolutions.padded[i] else (margin, len(values) - margin)
    seen = np.stack([padded[:, start + lag : stop + lag : every] for lag in range(0, 2 * margin + 1, dilation)])
    # The weights add up to 0, so the middle tap may be subtracted from each: a flat stretch then gives exactly 0.
    seen -= seen[N_TAPS // 2].copy()
    a, b, c = seen[convolutions.taps[i]]
    three = a + b + c
    return _added_up(three + three + three - _added_up(seen))


def _added_up(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sum along the first axis, added up in that order, which numpy's own sum does not promise."""
    total = values[0].copy()
    for each in values[1:]:
        total += each
    return total


def _longest_stretches(is_above: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many True follow one another at most in each row."""
    stretch = np.zeros(len(is_above), dtype=np.int64)
    longest = stretch.copy()
    for column in is_above.T:
        stretch = (stretch + 1) * column
        np.maximum(longest, stretch, out=longest)
    return longest
