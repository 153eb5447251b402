"""What can go wrong, by who has to act on it.

Three kinds of fault get three treatments: a device's is counted and the run goes on (`DecodeError`), the operator's is
refused before anything starts (`Refused`), our own stops the run and keeps the evidence (every other exception).
"""

from __future__ import annotations

from pathlib import Path


class SortlineError(Exception):
    """The root of every error that sortline raises on purpose."""


class Refused(SortlineError):
    """A config or an input that cannot be worked with: says what, where, and what to do. Exit code 1."""


class Missing(Refused):
    """What a start needs is not there any more. `sortline fsck --repair` makes it go on without, and so does
    `sortline run`, by itself."""

    accept_loss = False


class MissingWithLoss(Missing):
    """It takes `--accept-loss`, too."""

    accept_loss = True


class Newer(Refused):
    """A file that a newer version of the program has written: not damaged, only not for this one."""

    def __init__(self, path: Path, what: str = "") -> None:
        super().__init__(f"{path}: {what or 'was written by a newer version of the program'}: start the newer one")


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


class ReadOnly(Full):
    """What is there can only be read now: as a disk that has gone wrong, or is being looked after."""


class QueueFull(Full):
    """One queue of a sink has no room, until somebody reads it. Its other queues have nothing to do with that."""


class Throttled(Full):
    """The sink wants us to slow down. `retry_after_s`: what it asked for, 0 if it did not say."""

    def __init__(self, why: str, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class SinkFailed(SortlineError):
    """The sink answered that it cannot do it now. `code`: its own, an HTTP status for instance."""

    def __init__(self, why: str, code: int | str = "") -> None:
        super().__init__(why)
        self.code = code


class Undeliverable(SortlineError):
    """The sink has looked at an event, and will never take it.

    `position` and `again` are those of its `OutRow`; -1 where the sink cannot say which of the events it was. `code`:
    the sink's own word for it. Events before it in the same call may have arrived.
    """

    def __init__(self, why: str, *, position: int = -1, again: int = 0, code: int | str = "") -> None:
        super().__init__(why)
        self.position = position
        self.again = again
        self.code = code
