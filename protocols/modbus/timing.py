"""When polls are due: how often, spread how far, by when, and what becomes of those that were missed. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from protocols.modbus.registers import Milliseconds

CATCH_UP_MAX = 100
"""Missed polls that are made up for at most, with `catch_up = "all"`."""


class PollClass(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How all polls that name it are timed.

    poll_ms: how often.
    jitter_ms: each poll is put off by up to so much, at random, so that many units are not asked in the same instant;
      the first of each is spread over the whole of `poll_ms` then. 0 (default): none.
    deadline_ms: a poll that has no answer yet so long after it was due is overdue. Where more is due than the line can
      carry, the poll with the earliest deadline goes first. Default: `poll_ms`.
    catch_up: after polls were missed (a slow line, an engine that was full): `"once"` (default): one at once for all of
      them; `"skip"`: none, the next at its usual time; `"all"`: each is made up for, up to 100.
    overdue: `"count"` (default): an overdue poll is counted and named. `"gap"`: it is a `source.gap` from the poll
      before on as well, because what happened in between may have been missed: decisions wait for it (rule R7).
      `"ignore"`: neither, as for polls that only say `poll_ms`.
    """

    poll_ms: Milliseconds
    jitter_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0
    deadline_ms: Milliseconds | None = None
    catch_up: Literal["once", "skip", "all"] = "once"
    overdue: Literal["count", "gap", "ignore"] = "count"

    @property
    def interval_s(self) -> float:
        return self.poll_ms / 1000

    @property
    def deadline_s(self) -> float:
        return (self.deadline_ms or self.poll_ms) / 1000


def following(timing: PollClass, due: float, now: float) -> float:
    """When the poll that was due at `due`, and is made at `now`, is due again, without its jitter. Seconds."""
    interval = timing.poll_ms / 1000
    if timing.catch_up == "skip":
        return due + interval * (int(max(0.0, now - due) / interval) + 1)
    if timing.catch_up == "once":
        return max(due + interval, now)
    return max(due + interval, now - CATCH_UP_MAX * interval)
