"""The usual features of taggers for a token and its neighbours.

A worker imports this in a separate environment, so it imports only the standard library.
"""

import re

_SHAPES = ((re.compile(r"[A-Z]+"), "X"), (re.compile(r"[a-z]+"), "x"), (re.compile(r"[0-9]+"), "0"))


def shape_of(token: str) -> str:
    """The token with each run of capitals, small letters or digits as one character."""
    for pattern, character in _SHAPES:
        token = pattern.sub(character, token)
    return token


def features_of(tokens: list[str]) -> list[dict[str, str | float]]:
    """A dict for each token: the token, its ends and shape, and the two tokens on either side."""
    lower = [token.lower() for token in tokens]
    shapes = [shape_of(token) for token in tokens]
    rows = []
    for i, token in enumerate(tokens):
        row: dict[str, str | float] = {"bias": 1.0, "word": token, "lower": lower[i], "shape": shapes[i]}
        for n in range(1, 5):
            row[f"suffix {n}"], row[f"prefix {n}"] = lower[i][-n:], lower[i][:n]
        for distance in (-2, -1, 1, 2):
            inside = 0 <= i + distance < len(tokens)
            row[f"lower {distance:+d}"] = lower[i + distance] if inside else "outside"
            if abs(distance) == 1:
                row[f"shape {distance:+d}"] = shapes[i + distance] if inside else "outside"
                row[f"suffix 3 {distance:+d}"] = lower[i + distance][-3:] if inside else "outside"
        rows.append(row)
    return rows
