"""The error for models that development versions from before 0.1.0 have pickled, under names that no longer exist."""

from typing import NoReturn


def raise_too_old() -> NoReturn:
    """Say which version reads the file."""
    from seqclf import __version__

    raise ImportError(
        "This model was pickled by a development version of seqclf from before the release of 0.1.0 (commit 4c02889 or "
        f"earlier), and seqclf {__version__} can't read it. Fit it again, or load it with seqclf at commit 4c02889."
    )
