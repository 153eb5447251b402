"""Pick windows (R20-R31), judged after the fact: every press and every close of a line in the order of event time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.oracle.clock import Clock, Moment
from tests.oracle.context import Context, Line
from tests.oracle.facts import Fact, Record, Rules
from tests.oracle.gaps import Gaps

PICKS = frozenset({"pick.confirm", "pick.reverse"})


class Knowledge(NamedTuple):
    """What was known when. `too_late`: presses and cancels that came after their shipment had left (R27, R29).
    `decided`: windows that a late pick would have filled: until when they were open all the same (R25)."""

    clock: Clock
    gaps: Gaps
    rules: Rules
    too_late: frozenset[tuple[int, str | Line]] = frozenset()
    decided: Mapping[str, int] = MappingProxyType({})

    def comes_after(self, evidence: Fact, t: int, arrival: int) -> bool:
        """R27, R29: it happened later, or the watermark had passed the evidence when it came."""
        return t > evidence.t or (evidence.arrival < arrival and self.clock.marks[arrival] > evidence.t)


class Entry(NamedTuple):
    """One press on one task or line. `sign` -1: put back."""

    fact: Fact
    task: str | None
    line: Line
    sign: int
    qty: int
    lu: str | None
    known: int = 0  # R11: when both it and its task had arrived

    @property
    def t(self) -> int:
        return self.fact.t

    @property
    def press(self) -> tuple[int, str | Line]:
        return self.fact.arrival, self.task or self.line

    @property
    def sku(self) -> str:
        sku: str = self.fact.record["sku"]
        return sku

    @property
    def lot(self) -> str | None:
        return self.fact.record.get("lot")


class Close(NamedTuple):
    """What may close a window (R21 b, c, d) at `t`. `task` None: a short that names the line only.

    `fact`: the short, the carton.close, or the context that set the time. `decided`: when it was. `moved`: what says
    otherwise later on.
    """

    t: int
    decided_by: str
    reason: str
    task: str | None
    fact: Fact
    decided: Moment | None = None
    moved: Fact | None = None


@dataclass
class Window:
    """R20: one task, or one line without tasks."""

    key: str
    task: str | None
    line: Line
    sku: str
    q_task: int
    lu: str | None
    t_cancel: int | None
    t_known: int = 0
    arrival: int = -1  # R11: of the context that made it known; what waited for that takes effect with it
    q: int = 0
    counted: list[Entry] = field(default_factory=list)
    physical: list[Entry] = field(default_factory=list)  # wrong sku and picks after the cancel too
    closed_by: Close | None = None
    ever_closed: bool = False
    waits: bool = False  # R7: for a gap, with the close by its deadline
    told_by: list[tuple[str, int, int]] = field(default_factory=list)  # R7: source, when it was known, event time
    t_close: int = 0
    confirmed: bool = False
    short: Close | None = None
    reversed: bool = False
    late: bool = False  # a pick came after the decision that closed it
    asked: dict[int, tuple[int, int]] = field(default_factory=dict)  # by rev: event time, quantity
    revised: bool = False  # its task has another revision: the window may have been full by that
    t_asked: int = 0  # R27a: the revisions up to here have been taken

    @property
    def t_open(self) -> int:
        """R20: its pick.task, or its first pick."""
        return min([entry.t for entry in self.physical] + ([self.t_known] if self.task else []), default=0)

    @property
    def open(self) -> bool:
        return self.closed_by is None and self.t_cancel is None and self.q_task > 0

    def open_at(self, t: int) -> bool:
        """reading (R21 a): of what nothing is asked for nothing is missing."""
        return self.closed_by is None and (self.t_cancel is None or self.t_cancel > t) and self.q_task > 0

    def closed_at(self, t: int) -> int:
        """R27: of a cancelled window its t_close is t_c."""
        return self.t_close if self.t_cancel is None or self.t_cancel > t else self.t_cancel

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

    def begin(self, asked: dict[int, tuple[int, int]]) -> None:
        """R27a: with what the first revision asks for."""
        self.asked = asked
        self.q_task = asked[min(asked)][1] if asked else self.q_task

    def ask_until(self, t: int) -> None:
        """R27a: the revisions up to `t`, each judged at its own event time."""
        for rev, (told, qty) in sorted(self.asked.items()):
            overtaken = any(other > rev and then <= told for other, (then, _) in self.asked.items())  # R10
            if overtaken or not self.t_asked < told <= t:
                continue
            self.q_task = qty
            counted = [entry for entry in self.physical if entry.sku == self.sku]
            if self.t_cancel is not None and told >= self.t_cancel:
                continue
            if self.q < qty:
                self.closed_by = None if self.closed_by and self.closed_by.decided_by == "FULL" else self.closed_by
            elif counted and (self.closed_by is None or self.closed_by.decided_by != "FULL"):
                self._close(Close(counted[-1].t, "FULL", "", self.task, counted[-1].fact))
                self.short = None
        self.t_asked = max(self.t_asked, t)

    def judge(self, t: int) -> None:
        """After all presses of event time `t`: R21 (a), R26."""
        if self.t_cancel is not None and t >= self.t_cancel:
            return  # R27: t_close stays
        if self.ever_closed:
            # reading (R26): from the first close on every press makes a revision, also while the window is open again
            self.t_close = t
            self.confirmed = self.confirmed or self.q > 0
        if (self.closed_by is None or self.closed_by.decided_by == "FULL") and self.q >= self.q_task:
            self._close(Close(t, "FULL", "", self.task, self.physical[-1].fact))
        elif self.closed_by is not None and self.closed_by.decided_by == "FULL":
            self.closed_by = None

    def close(self, close: Close, knowledge: Knowledge) -> None:
        """R21 (b) to (d); what comes after another close changes nothing.

        It is decided on what is known by then; a pick from before it that comes later cannot undo it (R25).
        """
        if self.waits or (self.t_cancel is not None and close.t >= self.t_cancel):
            return
        moment = self._decision(close, knowledge)
        if moment is None:
            # R21: what happened later does not close it before this is decided
            self.waits = close.decided_by == "DEADLINE" and not close.moved and self.closed_by is None
            return
        timely = self.as_known(moment.at)
        if timely.closed_by is None and self.q_task > 0:  # reading: where nothing is asked for nothing is missing
            self._close(close._replace(decided=moment))
            self.short = close
            self.late = self.late or timely.q != self.q

    def asked_at(self, t: int) -> int:
        """R27a: by the revisions of before."""
        earlier = [qty for _, (told, qty) in sorted(self.asked.items()) if told <= t]
        return earlier[-1] if earlier else self.q_task

    @property
    def asked_when_told(self) -> int:
        """reading (R26, R27a): of a window that is open again what was asked for when it was told: at its last pick, or
        when it was full by less since. That more is asked for, or less without filling it, tells nothing by itself."""
        if not (self.open and self.ever_closed):
            return self.q_task
        asked = self.asked_at(self.t_close)
        for _, (told, qty) in sorted(self.asked.items()):
            asked = qty if told > self.t_close and self.q >= qty else asked
        return asked

    def as_known(self, at: int, before: int = 2**62) -> Window:
        """The window by the presses that were known when record `at` came, and from `before` some moment."""
        plain = Window(*(getattr(self, name) for name in PLAN))
        plain.begin(self.asked)
        for t, group in itertools.groupby(self.physical, key=lambda entry: entry.t):
            known = [entry for entry in group if entry.known < at and t < before]
            plain.ask_until(min(t, self.t_asked))
            for entry in known:
                plain.take(entry)
            if any(entry.sku == self.sku for entry in known):
                plain.judge(t)
        plain.ask_until(self.t_asked)
        if self.closed_by is not None and self.closed_by.decided_by != "FULL":
            plain.closed_by, plain.t_close = self.closed_by, self.t_close
        return plain

    def _decision(self, close: Close, knowledge: Knowledge) -> Moment | None:
        """R4: when the watermark passes it; a close that rests on silence is held while a gap may hide a pick (R7)."""
        wait = knowledge.rules["hold_wall_max_ms"] * 1000
        silent = close.decided_by == "DEADLINE"
        asked = knowledge.clock.passed(close.t, (close.t if silent else close.fact.record["t_rx"]) + wait)
        if asked is None:
            return None
        asked = max(asked, Moment(close.fact.arrival + 1, 0), Moment(self.arrival + 1, 0))
        if not silent:
            return asked
        told_by = {src for src, known, t in self.told_by if known < asked.at and t <= close.t}
        sources = told_by or knowledge.gaps.all_pickers(asked.at)
        told = knowledge.gaps.release(asked, close.t, [(src, self.t_open, close.t) for src in sources])
        # reading: while it waits for a gap it may still be moved
        late = told is None or told.at > asked.at
        return None if late and close.moved and (told is None or close.moved.arrival < told.at) else told

    def _close(self, close: Close) -> None:
        self.closed_by, self.ever_closed, self.t_close = close, True, close.t
        self.confirmed = self.confirmed or self.q > 0


PLAN = ("key", "task", "line", "sku", "q_task", "lu", "t_cancel", "t_known", "arrival")


def entries(
    facts: Iterable[Fact], context: Context, too_late: frozenset[tuple[int, str | Line]] = frozenset()
) -> list[Entry]:
    """R11: presses whose task or order is known. R30: the same `press` on a task is one; `alloc` is one an entry."""
    pressed: dict[tuple[str | Line, str], Fact] = {}
    found: list[Entry] = []
    for fact in facts:
        if fact.kind not in PICKS:
            continue
        for entry in _parts(fact, context):
            if press := fact.record.get("press"):
                # reading: confirms and reversals number their presses separately
                name = entry.task or entry.line, fact.kind + press
                other = pressed.setdefault(name, fact)
                # reading: the earlier one by R3's order counts, unless it came with a backlog
                if other is not fact and not (other.record.get("hist") and fact.arrival < other.arrival):
                    continue
                if other is not fact:
                    pressed[name] = fact
                    found = [one for one in found if not (one.fact is other and (one.task or one.line) == name[0])]
            found.append(entry)
    return [entry for entry in found if entry.press not in too_late]


def is_known(press: Fact, context: Context) -> bool:
    """R11: else it waits."""
    return bool(_parts(press, context))


def _parts(fact: Fact, context: Context) -> list[Entry]:
    """reading (R11): a press for several waits as a whole."""
    parts: list[Entry] = []
    for part in fact.record.get("alloc", [fact.record]):
        entry = _entry(fact, part, context)
        if entry is None:
            return []
        parts.append(entry)
    known = max((entry.known for entry in parts), default=0)
    return [entry._replace(known=known) for entry in parts]


def _entry(fact: Fact, part: Record, context: Context) -> Entry | None:
    task = part.get("task")
    lu = part.get("lu") or fact.record.get("lu")
    known = fact.arrival
    if task is not None:
        if task not in context.tasks:
            return None
        plan = context.tasks[task].record
        line = plan["order"], plan["line"]
        if fact.kind == "pick.confirm":  # R43: a reversal goes with the pick before it
            lu = lu or context.task_at(task, fact.t).get("lu")
        known = max(known, context.task_arrival[task])
    else:
        line = part["order"], part["line"]
        if line not in context.lines and not context.tasks_of(line):
            return None  # reading: a line is known by its tasks too
        told = [context.task_arrival[name] for name in context.tasks_of(line)]
        told += [context.order_arrival[line[0]]] if line in context.lines else []
        known = max(known, min(told))
    return Entry(fact, task, line, 1 if fact.kind == "pick.confirm" else -1, part["qty"], lu, known)


def windows(
    facts: Iterable[Fact],
    context: Context,
    presses: Iterable[Entry],
    knowledge: Knowledge,
    carton_closes: Iterable[tuple[Line, Close]],
    t_end: int,
) -> dict[str, Window]:
    """All windows by key. `carton_closes`: what R21 (c) may close. Deadlines after `t_end` are not decided."""
    by_line: dict[Line, list[Entry | Close]] = {}
    for entry in presses:
        by_line.setdefault(entry.line, []).append(entry)
    for line, close in _closes(facts, context, knowledge.rules, carton_closes):
        if close.t <= t_end and _was_there(line, close, by_line.get(line, ()), context):
            by_line.setdefault(line, []).append(close)
    for fact in context.tasks.values():
        by_line.setdefault((fact.record["order"], fact.record["line"]), [])
    found: dict[str, Window] = {}
    for line, happenings in by_line.items():
        found |= _line_windows(line, happenings, context, knowledge)
    return found


def _closes(
    facts: Iterable[Fact], context: Context, rules: Rules, carton_closes: Iterable[tuple[Line, Close]]
) -> Iterable[tuple[Line, Close]]:
    for fact in facts:
        if fact.kind == "pick.short":
            task, record = fact.record.get("task"), fact.record
            plan = context.tasks[task].record if task in context.tasks else record
            if task is None or task in context.tasks:
                yield (plan["order"], plan["line"]), Close(fact.t, "OPERATOR", record["code"], task, fact)
    for task, fact in context.tasks.items():
        line = fact.record["order"], fact.record["line"]
        for one, moved in context.deadlines(task):
            yield line, Close(one.record["deadline"], "DEADLINE", "DEADLINE", task, one, moved=moved)
        for wave, moved in context.cutoffs(line[0]) if rules["short_at_cutoff"] else ():
            yield line, Close(wave.record["cutoff"], "DEADLINE", "DEADLINE", task, wave, moved=moved)
    for line in context.lines if rules["short_at_cutoff"] else ():
        for wave, moved in context.cutoffs(line[0]) if not context.tasks_of(line) else ():
            yield line, Close(wave.record["cutoff"], "DEADLINE", "DEADLINE", None, wave, moved=moved)
    yield from carton_closes


def _was_there(line: Line, close: Close, happenings: Iterable[Entry | Close], context: Context) -> bool:
    """reading (R20, R21 d): a cutoff that was moved before there was a window has closed none."""
    picks = (one.t for one in happenings if isinstance(one, Entry))
    since = context.task_known[close.task] if close.task else min(picks, default=close.t)
    return close.moved is None or since < close.moved.t


def _tells_of(window: Window | None, one: Entry | Close) -> None:
    """R7: a pick, a reversal or a short is a record of its window, whatever comes of it."""
    if window is not None and isinstance(one, Entry):
        window.told_by.append((one.fact.record["src"], one.known, one.fact.t))
    elif window is not None and one.fact.kind == "pick.short":
        window.told_by.append((one.fact.record["src"], one.fact.arrival, one.fact.t))


def _line_windows(
    line: Line, happenings: list[Entry | Close], context: Context, knowledge: Knowledge
) -> dict[str, Window]:
    found = {task: _task_window(task, context, knowledge) for task in context.tasks_of(line)}
    line_key = f"{line[0]}/{line[1]}"
    mine = [one for one in happenings if one.task is None and _is_before_tasks(one, line, found, context, knowledge)]
    home = min(found, key=lambda task: (found[task].t_known, task)) if found else line_key
    if line in context.lines and any(isinstance(one, Entry) for one in mine):
        # reading: from its first pick on a line without tasks has a window, also for a short from before it (R23)
        own = _own_window(line_key, line, context, knowledge)
        _walk({line_key: own}, mine, dict.fromkeys(map(id, mine), line_key), knowledge)
        if not found or own.ever_closed or any(entry.sign < 0 for entry in own.physical):
            # R20: it has emitted something before the event time of its first task, and stays what it was
            home = line_key
            found[line_key] = _own_window(line_key, line, context, knowledge)
    _walk(found, happenings, dict.fromkeys(map(id, mine), home), knowledge)
    return found


def _is_before_tasks(
    one: Entry | Close, line: Line, found: Mapping[str, Window], context: Context, knowledge: Knowledge
) -> bool:
    """R20: it is the line's own. What the watermark had passed when the first task arrived is not looked at again."""
    if not found or one.t < min(window.t_known for window in found.values()):
        return True
    arrival = context.first_task[line].arrival
    return one.fact.arrival < arrival and one.t < knowledge.clock.marks[arrival]


def _own_window(key: str, line: Line, context: Context, knowledge: Knowledge) -> Window:
    spec = context.lines[line]
    cancel = _first_cancel(key, context.line_cancels(line), knowledge)
    window = Window(key, None, line, spec["sku"], spec["qty"], None, cancel)
    window.arrival = context.order_arrival.get(line[0], -1)
    window.begin(context.asked[line])
    window.revised = len(context.asked[line]) > 1
    return window


def _walk(
    found: dict[str, Window], happenings: list[Entry | Close], homes: Mapping[int, str], knowledge: Knowledge
) -> None:
    """All that happened to a line, by event time. `homes`: the windows of what names only the line and came before its
    tasks, by id()."""

    def order(one: Entry | Close) -> tuple[Any, ...]:
        # R3: a deadline is context, even where a record of a device has the same time
        return (one.t, 0) if isinstance(one, Entry) else (one.t, 1, *one.fact[1:4])

    for one in happenings:
        _tells_of(found.get(one.task or homes.get(id(one), "")), one)
    for t, group in itertools.groupby(sorted(happenings, key=order), key=lambda one: one.t):
        touched: dict[str, Window] = {}
        closes = []
        for window in found.values():
            window.ask_until(t)
        for one in group:
            if isinstance(one, Close):
                closes.append(one)
                continue
            key = one.task or homes.get(id(one)) or _choose(found, t, one.fact, knowledge.clock)
            if key is None:
                continue
            found[key].take(one)
            if one.task is None and id(one) not in homes:
                _tells_of(found[key], one)
            if one.sku == found[key].sku:  # reading (R31): what does not count closes nothing and moves no t_close
                touched[key] = found[key]
        for window in touched.values():
            window.judge(t)
        for close in closes:
            # R23: a line without tasks or picks has no other short than alloc.failed's
            key = close.task or homes.get(id(close)) or _choose(found, t)
            if key in found:
                found[key].close(close, knowledge)
    for window in found.values():
        window.ask_until(2**62)


def _choose(found: Mapping[str, Window], t: int, fact: Fact | None = None, clock: Clock | None = None) -> str | None:
    """R20: which task a press or short that names only the line goes to; None: the line has none.

    reading: it is chosen when the watermark has passed the press, by what is known then.
    """
    tasks = [window for window in found.values() if window.task is not None]
    if not tasks:
        return None
    # reading: a task is there from its event time on; before all of them, the press is the first task's
    tasks = [window for window in tasks if window.t_known <= t] or [min(tasks, key=lambda window: window.t_known)]
    passed = clock.passed(t) if clock and fact else None
    if passed is not None and fact is not None:
        at = max(passed.at, fact.arrival + 1)
        tasks = [window.as_known(at, before=t) for window in tasks]
    candidates = [window.key for window in tasks if window.open_at(t)]
    # reading: "the greatest t_close, then id" is the greatest of both
    return min(candidates) if candidates else max(tasks, key=lambda window: (window.closed_at(t), window.key)).key


def _first_cancel(key: str, cancels: Iterable[Fact], knowledge: Knowledge) -> int | None:
    """R27: when the window was cancelled."""
    return min((fact.t for fact in cancels if (fact.arrival, key) not in knowledge.too_late), default=None)


def _task_window(task: str, context: Context, knowledge: Knowledge) -> Window:
    plan = context.tasks[task].record
    line = plan["order"], plan["line"]
    own = context.cancelled_tasks.get(task)
    cancel = _first_cancel(task, [*context.line_cancels(line), *([own] if own else [])], knowledge)
    times = context.task_known[task], context.task_arrival[task]
    window = Window(task, task, line, plan["sku"], plan["qty"], plan.get("lu"), cancel, *times)
    window.revised = plan["rev"] > 1
    window.begin(context.asked[task])
    return window
