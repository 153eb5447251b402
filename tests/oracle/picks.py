"""Pick windows (R20-R31), judged after the fact: every press and every close of a line in the order of event time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.oracle.context import Context, Line
from tests.oracle.facts import Fact, Record, Rules

PICKS = frozenset({"pick.confirm", "pick.reverse"})


class Entry(NamedTuple):
    """One press on one task or line. `sign` -1: put back."""

    fact: Fact
    task: str | None
    line: Line
    sign: int
    qty: int
    lu: str | None

    @property
    def t(self) -> int:
        return self.fact.t

    @property
    def sku(self) -> str:
        sku: str = self.fact.record["sku"]
        return sku

    @property
    def lot(self) -> str | None:
        return self.fact.record.get("lot")


class Close(NamedTuple):
    """What may close a window (R21 b, c, d) at `t`. `task` None: a short that names the line only."""

    t: int
    decided_by: str
    reason: str
    task: str | None
    record: Record | None = None


@dataclass
class Window:
    """R20: one task, or one line without tasks."""

    key: str
    task: str | None
    line: Line
    sku: str
    q_task: int
    lu: str | None
    loc: str | None
    t_cancel: int | None
    t_known: int = 0
    q: int = 0
    counted: list[Entry] = field(default_factory=list)
    physical: list[Entry] = field(default_factory=list)  # wrong sku and picks after the cancel too
    closed_by: Close | None = None
    ever_closed: bool = False
    t_close: int = 0
    confirmed: bool = False
    short: Close | None = None
    reversed: bool = False

    @property
    def open(self) -> bool:
        return self.closed_by is None and self.t_cancel is None

    def open_at(self, t: int) -> bool:
        return self.closed_by is None and (self.t_cancel is None or self.t_cancel > t)

    def take(self, entry: Entry) -> None:
        self.physical.append(entry)
        if entry.sku != self.sku:
            return  # R31
        if entry.sign < 0:
            self.q -= entry.qty
            self.reversed = True
        elif self.t_cancel is None or entry.t < self.t_cancel:
            self.q += entry.qty
            self.counted.append(entry)

    def judge(self, t: int) -> None:
        """After all presses of event time `t`: R21 (a), R26."""
        if self.t_cancel is not None and t >= self.t_cancel:
            return  # R27: t_close stays
        if self.ever_closed:
            # reading (R26): from the first close on every press makes a revision, also while the window is open again
            self.t_close = t
            self.confirmed = self.confirmed or self.q > 0
        if (self.closed_by is None or self.closed_by.decided_by == "FULL") and self.q >= self.q_task:
            self._close(Close(t, "FULL", "", self.task))
        elif self.closed_by is not None and self.closed_by.decided_by == "FULL":
            self.closed_by = None

    def close(self, close: Close) -> None:
        """R21 (b) to (d); what comes after another close changes nothing."""
        if self.closed_by is None and (self.t_cancel is None or close.t < self.t_cancel):
            self._close(close)
            self.short = close if self.q < self.q_task else None

    def _close(self, close: Close) -> None:
        self.closed_by, self.ever_closed, self.t_close = close, True, close.t
        self.confirmed = self.confirmed or self.q > 0


def entries(facts: Iterable[Fact], context: Context) -> list[Entry]:
    """R11: presses whose task or order is known. R30: the same `press` on a task is one; `alloc` is one an entry."""
    pressed: set[tuple[str | Line, str]] = set()
    found = []
    for fact in facts:
        if fact.kind not in PICKS:
            continue
        for part in fact.record.get("alloc") or [fact.record]:
            entry = _entry(fact, part, context)
            press = fact.record.get("press")
            # reading: confirms and reversals number their presses separately
            if entry is None or (press and (entry.task or entry.line, fact.kind + press) in pressed):
                continue
            if press:
                pressed.add((entry.task or entry.line, fact.kind + press))
            found.append(entry)
    return found


def _entry(fact: Fact, part: Record, context: Context) -> Entry | None:
    task = part.get("task")
    lu = part.get("lu") or fact.record.get("lu")
    if task is not None:
        if task not in context.tasks:
            return None
        plan = context.tasks[task].record
        line, lu = (plan["order"], plan["line"]), lu or plan.get("lu")  # R43
    else:
        line = part["order"], part["line"]
        if line not in context.lines and not context.tasks_of(line):
            return None  # reading: a line is known by its tasks too
    return Entry(fact, task, line, 1 if fact.kind == "pick.confirm" else -1, part["qty"], lu)


def windows(
    facts: Iterable[Fact],
    context: Context,
    presses: Iterable[Entry],
    rules: Rules,
    carton_closes: Iterable[tuple[Line, Close]],
    t_end: int,
) -> dict[str, Window]:
    """All windows by key. `carton_closes`: what R21 (c) may close. Deadlines after `t_end` are not decided."""
    by_line: dict[Line, list[Entry | Close]] = {}
    for entry in presses:
        by_line.setdefault(entry.line, []).append(entry)
    for line, close in _closes(facts, context, rules, carton_closes):
        if close.t <= t_end:
            by_line.setdefault(line, []).append(close)
    for fact in context.tasks.values():
        by_line.setdefault((fact.record["order"], fact.record["line"]), [])
    found: dict[str, Window] = {}
    for line, happenings in by_line.items():
        found |= _line_windows(line, happenings, context)
    return found


def _closes(
    facts: Iterable[Fact], context: Context, rules: Rules, carton_closes: Iterable[tuple[Line, Close]]
) -> Iterable[tuple[Line, Close]]:
    for fact in facts:
        if fact.kind == "pick.short":
            task, record = fact.record.get("task"), fact.record
            plan = context.tasks[task].record if task in context.tasks else record
            if task is None or task in context.tasks:
                yield (plan["order"], plan["line"]), Close(fact.t, "OPERATOR", record["code"], task, record)
    for task, fact in context.tasks.items():
        line = fact.record["order"], fact.record["line"]
        cutoff = context.cutoff(line[0]) if rules["short_at_cutoff"] else None
        for t in (fact.record.get("deadline"), cutoff):
            if t is not None:
                yield line, Close(t, "DEADLINE", "DEADLINE", task)
    if rules["short_at_cutoff"]:
        for line in context.lines:
            cutoff = context.cutoff(line[0])
            if cutoff is not None and not context.tasks_of(line):
                yield line, Close(cutoff, "DEADLINE", "DEADLINE", None)
    yield from carton_closes


def _line_windows(line: Line, happenings: list[Entry | Close], context: Context) -> dict[str, Window]:
    found = {task: _task_window(task, context) for task in context.tasks_of(line)}
    rank = {"OPERATOR": 1, "CLOSE": 2, "DEADLINE": 3}

    def order(one: Entry | Close) -> tuple[int, int]:
        return one.t, 0 if isinstance(one, Entry) else rank[one.decided_by]

    line_key = f"{line[0]}/{line[1]}"
    for t, group in itertools.groupby(sorted(happenings, key=order), key=lambda one: one.t):
        touched: dict[str, Window] = {}
        closes = []
        for one in group:
            if isinstance(one, Close):
                closes.append(one)
                continue
            key = one.task or _choose(found, t, context.first_task.get(line), one.fact) or line_key
            if key not in found:
                spec = context.lines[line]
                found[key] = Window(key, None, line, spec["sku"], spec["qty"], None, None, context.line_cancel(line))
            found[key].take(one)
            touched[key] = found[key]
        for window in touched.values():
            window.judge(t)
        for close in closes:
            # R23: a line without tasks or picks has no other short than alloc.failed's
            key = close.task or _choose(found, t) or line_key
            if key in found:
                found[key].close(close)
    return found


def _choose(
    found: Mapping[str, Window], t: int, first_task: Fact | None = None, fact: Fact | None = None
) -> str | None:
    """R20: where a press or short that names only the line goes; None: to the line's own window."""
    tasks = [window for window in found.values() if window.task is not None]
    if not tasks:
        return None
    if first_task and fact and fact.arrival < first_task.arrival:
        # The line window becomes that of the first task. reading: it is taken to have emitted nothing by then.
        return str(first_task.record["task"])
    # reading: a task is there from its event time on; before all of them, the press is the first task's
    tasks = [window for window in tasks if window.t_known <= t] or [min(tasks, key=lambda window: window.t_known)]
    candidates = [window.key for window in tasks if window.open_at(t)]
    # reading: "the greatest t_close, then id" is the greatest of both
    return min(candidates) if candidates else max(tasks, key=lambda window: (window.t_close, window.key)).key


def _task_window(task: str, context: Context) -> Window:
    plan = context.tasks[task].record
    line = plan["order"], plan["line"]
    cancels = [t for t in (context.line_cancel(line), context.cancelled_tasks.get(task)) if t is not None]
    t_cancel = min(cancels, default=None)
    known = context.task_known[task]
    return Window(task, task, line, plan["sku"], plan["qty"], plan.get("lu"), plan.get("loc"), t_cancel, known)
