"""The worker's side of the protocol: one line of JSON per request on stdin, one per response on stdout.

A request ``{"epoch": {...}}`` calls the handler of that name with those arguments. The response is the dict that it
returns, or ``{"error": ...}``. This runs in the environments of the peers, so it imports only the standard library.
"""

import json
import sys
from collections.abc import Callable, Mapping

# A library that prints must not break the protocol.
_responses, sys.stdout = sys.stdout, sys.stderr


def serve(versions: str, handlers: Mapping[str, Callable[..., dict]]) -> None:
    """Handle requests until the input ends; the first line of output has the versions."""

    def respond(content: dict) -> None:
        print(json.dumps(content), file=_responses, flush=True)

    respond({"versions": versions})
    for line in sys.stdin:
        ((name, arguments),) = json.loads(line).items()
        try:
            respond(handlers[name](**arguments))
        except Exception as error:  # reported to the other side
            respond({"error": f"{type(error).__name__}: {error}"})
