"""Types of arguments that several commands take."""

from __future__ import annotations

import argparse

SECONDS_MAX = 1e9  # a timer of more is refused by the event loop


def number_of_seconds(text: str) -> float:
    """Of `--seconds`: so long, and no `nan` that would be for ever or never."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= SECONDS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text[:40]!r} is no number of seconds: more than 0, at most {SECONDS_MAX:.0f}"
        )
    return value
