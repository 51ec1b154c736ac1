"""The side of the worker: one JSON request a line on the standard input, one JSON answer a line on the standard output.

A request ``{"epoch": {...}}`` calls the handler of that name with those arguments; the answer is the dict that it
returns, or ``{"error": ...}``. Runs in the environments of the peers: nothing but the standard library here.
"""

import json
import sys
from collections.abc import Callable, Mapping

# A library that prints must not break the protocol.
_answers, sys.stdout = sys.stdout, sys.stderr


def serve(versions: str, handlers: Mapping[str, Callable[..., dict]]) -> None:
    """Answer requests until the input ends; the first line tells the versions."""

    def answer(content: dict) -> None:
        print(json.dumps(content), file=_answers, flush=True)

    answer({"versions": versions})
    for line in sys.stdin:
        ((name, arguments),) = json.loads(line).items()
        try:
            answer(handlers[name](**arguments))
        except Exception as error:  # told to the other side
            answer({"error": f"{type(error).__name__}: {error}"})
