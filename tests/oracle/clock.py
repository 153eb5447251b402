"""What was known when: watermark and wall clock at every arrival (R2, R4), and when something due was decided."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.oracle.facts import CONTEXT, NOISE, Record, Rules, is_dead

ABOUT_SOURCES = frozenset({"link.up", "link.down", "source.gap", "clock.tick"})


def own(src: str, sources: Mapping[str, Rules]) -> Rules:
    """The parameters of a source's own table: the longest that its name begins with."""
    fitting = [name for name in sources if src == name or src.startswith(name + "/")]
    return sources[max(fitting, key=len)] if fitting else {}


class Moment(NamedTuple):
    """Everything decided before the record with number `at` arrived is decided; `wall` in microseconds."""

    at: int
    wall: int


class Step(NamedTuple):
    """From `wall` on the watermark is `mark`; where `alone`, nobody is in and it follows the wall clock."""

    wall: int
    mark: int
    alone: bool


class Clock:
    """`marks[i]`, `walls[i]`: both clocks when record i takes effect, its own `t_rx` included, its event time not yet.

    After the last record every source leaves, and both run on to `t_end` (R4a).
    """

    def __init__(
        self,
        records: Sequence[Record],
        times: Sequence[int],
        rules: Rules,
        sources: Mapping[str, Rules],
        t_end: int,
    ) -> None:
        self.rules, self.sources, self.t_end = rules, sources, t_end
        self.marks: list[int] = []
        self.walls: list[int] = []
        self.steps: list[Step] = []
        self.mark = self.wall = -(2**62)
        self.inside: dict[str, int] = {}  # source -> the t_rx of its last record
        self.furthest: dict[str, int] = {}  # source -> its watermark
        self.greatest: dict[str, int] = {}  # source -> greatest event time of what was heard of it, `hist` or not
        for record, t in zip(records, times, strict=True):
            self._move_wall(record["t_rx"])
            self.marks.append(self.mark)
            self.walls.append(self.wall)
            self._hear(record, t)
            self._follow()
        self.inside = {}
        self._follow()

    def rule(self, src: str, name: str) -> int:
        return int(own(src, self.sources).get(name, self.rules[name])) * 1000

    def passed(self, due: int, forced: int = 2**62) -> Moment | None:
        """When the watermark became greater than `due`, or the wall clock reached `forced`; None: never."""
        wall = self._wall_at(due)
        at = min(bisect.bisect_right(self.marks, due), bisect.bisect_left(self.walls, forced))
        if at == len(self.walls) and min(due, forced) > self.t_end:
            return None
        return Moment(at, min(wall, forced))

    def reached(self, wall: int) -> Moment | None:
        """When the wall clock reached it; None: never."""
        at = bisect.bisect_left(self.walls, wall)
        return Moment(at, wall) if at < len(self.walls) or wall <= self.t_end else None

    def mark_at(self, wall: int) -> int:
        """The watermark when the wall clock stood there."""
        before = self.steps[: bisect.bisect_right(self.steps, wall, key=lambda step: step.wall)]
        if not before:
            return -(2**62)
        last = before[-1]
        return max(last.mark, wall - self._idle) if last.alone else last.mark

    def _wall_at(self, due: int) -> int:
        """The wall clock at which the watermark became greater than `due`."""
        for step, after in itertools.pairwise([*self.steps, Step(2**62, 2**62, False)]):
            if step.mark > due:
                return step.wall
            if step.alone and max(step.wall, due + self._idle) < after.wall:
                return max(step.wall, due + self._idle)
        return self.t_end

    @property
    def _idle(self) -> int:
        return int(self.rules["idle_source_ms"]) * 1000

    def _move_wall(self, t_rx: int) -> None:
        wall = max(self.wall, t_rx)
        while self.inside:
            src = min(self.inside, key=lambda one: (self.inside[one] + self.rule(one, "idle_source_ms"), one))
            due = self.inside[src] + self.rule(src, "idle_source_ms")
            if due > wall:
                break
            del self.inside[src]
            self.wall = max(self.wall, due)
            self._follow()
        self.wall = wall
        self._follow()

    def _follow(self) -> None:
        mark = min(self.furthest[src] for src in self.inside) if self.inside else self.wall - self._idle
        self.mark = max(self.mark, mark)
        self.steps.append(Step(self.wall, self.mark, not self.inside))

    def _hear(self, record: Record, t: int) -> None:
        src, kind = record["src"], record["kind"]
        if kind == "link.down":
            for name in [one for one in self.inside if speaks_for(record, one)]:
                if not is_old_death(record, t, self.greatest.get(name), self.rules):
                    del self.inside[name]
            return
        if kind in CONTEXT or kind in ABOUT_SOURCES:
            return
        self.greatest[src] = max(t, self.greatest.get(src, t))
        if record.get("hist"):
            return
        if kind not in NOISE or src in self.inside:
            self.inside[src] = record["t_rx"]
            self.furthest[src] = max(self.furthest.get(src, -(2**62)), t - self.rule(src, "disorder_ms"))


def is_old_death(record: Record, t: int, greatest: int | None, rules: Rules) -> bool:
    """R29; reading of the trap: also one of a backlog whose source was heard of since. `greatest`: see Clock."""
    return is_dead(record, t, rules) or (bool(record.get("hist")) and greatest is not None and t < greatest)


def speaks_for(record: Record, src: str) -> bool:
    """R2: `link.down` with `scope` is about every source whose name begins with it."""
    return src.startswith(record["scope"]) if record.get("scope") else src == record["src"]
