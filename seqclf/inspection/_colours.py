"""The colours of contributions: red raises the output, blue lowers it; stronger ones are more opaque.

They are drawn behind the text, on any background: text keeps a contrast of at least 4.5 on white and on black, as the
Web Content Accessibility Guidelines ask for.
"""

RAISES, LOWERS = (222, 45, 38), (33, 113, 220)
MAX_OPACITY = 0.55
# A token with less than this part of the largest contribution is not coloured.
_MIN_PART = 0.02


def colour(value: float | None, largest: float) -> tuple[int, int, int, float] | None:
    """Red, green and blue from 0 to 255, and the opacity from 0 to 1; None for no colour."""
    if value is None or not largest or abs(value) < _MIN_PART * largest:
        return None
    opacity = MAX_OPACITY * min(abs(value) / largest, 1.0)
    return (*(RAISES if value > 0 else LOWERS), opacity)
