"""`show_versions`: the versions and settings that a bug report needs."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

_DEPENDENCIES = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "joblib", "tqdm", "tokenizers", "matplotlib")


def show_versions() -> None:
    """Print the versions, threads, devices and recurrent kernels in use, for a bug report.

    Examples
    --------
    >>> import seqclf
    >>> seqclf.show_versions()
    System
    ...
    Versions
          seqclf: ...
           numpy: ...
    """
    sections = {"System": _system(), "Versions": _versions(), "Torch": _torch(), "Recurrent kernels": _kernels()}
    for title, rows in sections.items():
        print(title)
        for name, text in rows:
            print(f"{name:>14}: {text}")


def _system() -> list[tuple[str, str]]:
    return [
        ("python", sys.version.replace("\n", " ")),
        ("executable", sys.executable),
        ("platform", platform.platform()),
    ]


def _versions() -> list[tuple[str, str]]:
    from seqclf import __version__

    rows = [("seqclf", __version__)]
    for name in _DEPENDENCIES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return rows


def _torch() -> list[tuple[str, str]]:
    try:
        import torch
    except ImportError:  # in an installation for prediction only
        return [("threads", "torch is not installed")]
    return [
        ("threads", str(torch.get_num_threads())),
        ("CUDA", torch.cuda.get_device_name() if torch.cuda.is_available() else "not available"),
    ]


def _kernels() -> list[tuple[str, str]]:
    from seqclf._native import library

    try:
        from seqclf import _kernels
    except ImportError:
        return [("predictions", library.available()[1])]
    return _kernels.describe()
