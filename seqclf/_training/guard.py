"""A decorator for `fit` and `predict` that restores global state after errors, and unifies out-of-memory errors."""

from collections.abc import Callable
from functools import wraps
from traceback import clear_frames
from typing import ParamSpec, TypeVar

import torch

from seqclf._kernels.threads import end_blocks, n_blocks
from seqclf._native.threads import current_choice, restore_choice

P = ParamSpec("P")
Result = TypeVar("Result")

# Fragments of torch's messages when an allocation on the CPU fails. For a GPU, torch has an exception class.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "std::bad_alloc")


def guarded(method: Callable[P, Result]) -> Callable[P, Result]:
    """Restore thread counts and torch's modes after an error, and turn torch's out-of-memory errors into MemoryError.

    The ``with`` statements inside restore them too, unless Ctrl-C arrives just before the exit of one of them runs.
    """

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        blocks, choice = n_blocks(), current_choice()
        gradients, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        try:
            return method(*args, **kwargs)
        except BaseException as error:
            end_blocks(blocks)
            restore_choice(choice)
            if torch.is_inference_mode_enabled() != inference:
                # The mode lasts as long as an object that the frames of the traceback keep alive.
                clear_frames(error.__traceback__)
            torch.set_grad_enabled(gradients)
            if is_out_of_memory(error):
                raise MemoryError(f"There was too little memory: {str(error) or 'an allocation failed'}") from error
            raise

    return run


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch ran out of memory, or the error is a MemoryError without a message."""
    if isinstance(error, torch.OutOfMemoryError) or (isinstance(error, MemoryError) and not str(error)):
        return True
    return isinstance(error, RuntimeError) and any(fragment in str(error) for fragment in _OUT_OF_MEMORY)
