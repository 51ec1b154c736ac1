"""Around `fit` and `predict`: thread counts are left as found, and memory that runs out is a MemoryError."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

from seqclf._kernels.threads import end_blocks, n_blocks
from seqclf._native.threads import present_choice, restore_choice

P = ParamSpec("P")
Result = TypeVar("Result")

# What torch says where an allocation fails on the CPU. On a GPU it has an error of its own.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "std::bad_alloc")


def guarded(method: Callable[P, Result]) -> Callable[P, Result]:
    """Leave thread counts as they were after an error, and have memory that runs out end in a MemoryError.

    A ``with`` statement restores thread counts too, unless Ctrl-C comes in the moment before it begins to.
    """

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> Result:
        blocks, choice = n_blocks(), present_choice()
        try:
            return method(*args, **kwargs)
        except BaseException as error:
            end_blocks(blocks)
            restore_choice(choice)
            if is_out_of_memory(error):
                raise MemoryError(f"There was too little memory: {str(error) or 'an allocation failed'}") from error
            raise

    return run


def is_out_of_memory(error: BaseException) -> bool:
    """Whether it is torch's word for a MemoryError, or one without a word."""
    if isinstance(error, torch.OutOfMemoryError) or (isinstance(error, MemoryError) and not str(error)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
