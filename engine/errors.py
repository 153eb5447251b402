"""What can go wrong, by who has to act on it.

Three kinds of fault get three treatments: a device's is counted and the run goes on (`DecodeError`), the operator's is
refused before anything starts (`Refused`), our own stops the run and keeps the evidence (every other exception).
"""

from __future__ import annotations


class SortlineError(Exception):
    """The root of every error that sortline raises on purpose."""


class Refused(SortlineError):
    """A config or an input that cannot be worked with: says what, where, and what to do. Exit code 1."""


class DecodeError(SortlineError):
    """A payload that does not fit its mapping. Counted, kept as a sample, logged once per cause; stops nothing.

    `cause` is a short stable text without payload content (`"seq: not an integer"`): log lines are limited per cause.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ContentChanged(SortlineError):
    """The same event id came with other content (contract: never). The first content stays."""


class Full(SortlineError):
    """No room for this now, and nothing of it was written. The same call may succeed later: wait, never drop."""
