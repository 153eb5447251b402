"""From what devices report to canonical lines. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import msgspec

from engine.errors import DecodeError
from ext.line_block import LineBlock
from ext.line_plan import LinePlan
from ext.sparkplug import Report
from protocols.mapping.compiled import compile_lines
from protocols.mapping.lines import encode_line
from protocols.mapping.paths import Path, Scope, parse_path, parse_template
from protocols.mapping.plan import FieldPlan, Lines, RecordPlan, compile_record
from protocols.mapping.sequence import Position, Sequences, step
from protocols.mapping.settings import FieldSettings, field_settings
from protocols.mqtt.sparkplug.settings import RecordOf
from protocols.mqtt.topics import TopicFilter, parse_filter

PLAIN = re.compile(rb"[ !#-\[\]-~]*")
ROOT = ("timestamp", "historical", "epoch")
"""What the protocol says of a value, beside the metrics."""


class Entry:
    """One `records` table. Its plan is compiled where the JSON that a compiled plan reads can say the same: whole."""

    def __init__(self, settings: RecordOf, sequences: Sequences) -> None:
        self.trigger = settings.trigger
        self.counts = settings.counts
        self.wrap = field_settings(settings.record["seq"]).wrap if settings.counts else None
        self._names = metrics_of(settings)
        self._compiled: LinePlan | None = None
        self._captures: list[str] = [name for name in parse_filter(settings.filter).names if name]
        if self._names is not None:
            self._compiled = compile_lines(
                settings.full_record(),
                constants=settings.constants,
                when=settings.when,
                captures=self._captures,
                sequences=sequences,
            )
        self._block = LineBlock()
        self._filter: TopicFilter = parse_filter(settings.filter)
        record = settings.full_record()
        self._plan: RecordPlan = compile_record(
            record, constants=settings.constants, when=settings.when, sequences=sequences
        )
        src = record.get("src", FieldSettings(const=settings.constants.get("src")))
        self._src = FieldPlan("src", field_settings(src))

    def captures(self, place: str) -> Mapping[str, str] | None:
        return self._filter.match(place)

    def src(self, captures: Mapping[str, str]) -> str | None:
        """The name of the device in records, as far as it does not depend on what the device says."""
        try:
            found = self._src.value(Scope({}, {}, captures), "")
        except DecodeError:
            return None
        return found if isinstance(found, str) else None

    def add(
        self,
        found: Lines,
        values: Mapping[str, object],
        report: Report,
        sub: int,
        captures: Mapping[str, str],
        epoch: int,
        t_rx: int,
    ) -> None:
        """The line of one value of the trigger, or the cause why there is none; nothing if it is not meant."""
        told: dict[str, object] = {"timestamp": report[2], "historical": report[3], "epoch": epoch}
        if sub == 0 and self._compiled is not None and self._add_compiled(found, values, told, captures, t_rx):
            return
        root = told | {"metrics": values}
        scope = Scope(values, root, captures)
        if not self._plan.meant(scope):
            return
        try:
            found.lines.append(encode_line(self._plan.record(scope, sub, t_rx)))
        except DecodeError as error:
            found.causes.append(error.cause)

    def _add_compiled(
        self,
        found: Lines,
        values: Mapping[str, object],
        root: Mapping[str, object],
        captures: Mapping[str, str],
        t_rx: int,
    ) -> bool:
        assert self._compiled is not None
        told = dict(root)
        for name in self._names or ():
            # one that is not there is no null: what a path spells as a whole goes before its steps
            if name in values:
                value = told[name] = values[name]
                if isinstance(value, float) and not isfinite(value):
                    return False
        topic = [captures[name].encode() for name in self._captures]
        if not all(map(is_plain, topic)):
            return False
        if not self._compiled.lines(msgspec.json.encode(told), topic, t_rx, self._block):
            return False
        data, _ = self._block.take()
        found.lines.extend(data.split(b"\n")[:-1])
        return True


def is_plain(text: bytes) -> bool:
    """Whether JSON writes the text as it is."""
    return PLAIN.fullmatch(text) is not None


def metrics_of(settings: RecordOf) -> list[str] | None:
    """The metrics that a table reads; None: a path leads to something else, or two things would have one name."""
    texts = [
        field.path for entry in settings.full_record().values() if (field := field_settings(entry)).path is not None
    ]
    paths = [parse_path(text) for text in (*texts, *settings.when)]
    for entry in settings.full_record().values():
        template = field_settings(entry).template
        if template is not None:
            paths += [part for part in parse_template(template).parts if isinstance(part, Path)]
    if any(path.from_root != (path.whole in ROOT) for path in paths):
        return None
    names = {name for path in paths if not path.from_root for name in (path.whole, *path.steps[:1])}
    return sorted(name for name in names if isinstance(name, str)) if "" not in names else None


class Held(NamedTuple):
    """What a message said that waited for a birth. `before_gap`: see `Message`."""

    reports: Sequence[Report]
    t_rx: int
    before_gap: bool = False

    def names(self) -> Iterator[str]:
        """The metrics of which it says how they stand."""
        return (name for name, _, _, historical in self.reports if not historical)


class Place:
    """The entries of one device. `position`: src -> the last (epoch, seq) that the engine knows of it."""

    def __init__(self, entries: Sequence[Entry], place: str, position: Position) -> None:
        matching = [(entry, captures) for entry in entries if (captures := entry.captures(place)) is not None]
        self._entries: dict[str, list[tuple[Entry, Mapping[str, str], str | None]]] = {}
        for entry, captures in matching:
            self._entries.setdefault(entry.trigger, []).append((entry, captures, entry.src(captures)))
        self.srcs = list(dict.fromkeys(src for entry, captures in matching if (src := entry.src(captures)) is not None))
        self._epochs: dict[str, int] = {}
        self._counted: dict[str, object] = {}  # what counters showed before our own start, as far as the engine knows
        for entry, captures in matching:
            src = entry.src(captures)
            known = position(src) if entry.counts and src is not None else None
            if src is not None and known is not None:
                self._epochs[src] = known[0]
                self._counted[entry.trigger] = known[1] % entry.wrap if entry.wrap else known[1]

    def lines(self, values: dict[str, object], reports: Sequence[Report], t_rx: int) -> Lines:
        """Take the reports into `values`, and make a record of every value of a trigger.

        One message may tell several values of one metric: it falls into rounds, none of which has a metric twice.
        Values out of a node's buffer are no news of how things stand now.
        """
        found = Lines([], [])
        subs: Counter[str] = Counter()
        for round_ in rounds(reports):
            now = {name: value for name, value, _, historical in round_ if not historical}
            values.update(now)
            then: dict[str, object] = values
            if len(now) < len(round_):
                then = values | {report[0]: report[1] for report in round_}
            self._add_records(found, then, round_, subs, t_rx)
        return found

    def news(
        self,
        before: Mapping[str, object],
        values: dict[str, object],
        reports: Sequence[Report],
        t_rx: int,
        was_away: bool,
        held: Sequence[Held] = (),
    ) -> Lines:
        """After a birth: records of the triggers whose values are not those that were known before. `was_away`: it may
        be another life, whose counters began anew; at 0 nothing has happened since. `held`: what this life
        said before the birth."""
        found = Lines([], [])
        known = {} if was_away else before
        before = {**self._counted, **before}
        anew = self._begun_anew(before, values) if was_away else ()
        if held:
            before |= self._add_held(found, known, values, held)
        news = [report for report in reports if report[0] in before and before[report[0]] != report[1]]
        news = [report for report in news if report[0] not in anew or report[1] != 0]
        self._add_records(found, values, news, Counter(), t_rx)
        return found

    def _add_held(
        self, found: Lines, known: Mapping[str, object], values: Mapping[str, object], held: Sequence[Held]
    ) -> dict[str, object]:
        """What they said in the end. What none of them tells stood as it does in the birth: it would have been told. Of
        what only a later one tells nobody knows how it stood before, and of what was before a gap neither; unless it
        was `known` before this life was in doubt, and nothing was lost since."""
        told = {name for each in held for name in each.names()}
        later = {name for each in held if not each.before_gap for name in each.names()}
        as_born = {name: value for name, value in values.items() if name not in later}
        then = dict(known)
        may_miss = True
        for at, each in enumerate(held):
            if may_miss and not self._is_whole(then, held[at:]):
                then = {}
            if may_miss and not each.before_gap:
                then |= as_born
                may_miss = False
            lines = self.lines(then, each.reports, each.t_rx)
            found.lines.extend(lines.lines)
            found.causes.extend(lines.causes)
        return {name: then[name] for name in told if name in then}

    def _is_whole(self, known: Mapping[str, object], held: Sequence[Held]) -> bool:
        """Whether by the device's own counters nothing of it was lost between what is known and what is held. One that
        counts nothing is believed."""
        for name, entries in self._entries.items():
            first = next((report[1] for each in held for report in each.reports if report[0] == name), None)
            if name not in known or first is None:
                continue
            if any(entry.counts and step(known[name], first, entry.wrap) not in (0, 1) for entry, _, _ in entries):
                return False
        return True

    def _begun_anew(self, before: Mapping[str, object], values: Mapping[str, object]) -> set[str]:
        """The triggers that count, and fell: their numbers come again in another epoch, where they pass for no
        repetitions."""
        fell: dict[str, str] = {}
        for name, entries in self._entries.items():
            for entry, _, src in entries:
                was, now = before.get(name), values.get(name)
                if not entry.counts or src is None or not isinstance(was, int) or not isinstance(now, int):
                    continue
                if step(was, now, entry.wrap) is None:
                    fell[name] = src
        for src in set(fell.values()):
            self._epochs[src] = self._epochs.get(src, 0) + 1
        return set(fell)

    def _add_records(
        self, found: Lines, values: dict[str, object], reports: Sequence[Report], subs: Counter[str], t_rx: int
    ) -> None:
        """`subs`: how many values of a trigger the message has told before."""
        for report in reports:
            name = report[0]
            if name in self._entries and report[1] is not None:
                for entry, captures, src in self._entries[name]:
                    epoch = self._epochs.get(src, 0) if src is not None else 0
                    entry.add(found, values, report, subs[name], captures, epoch, t_rx)
                subs[name] += 1


def rounds(reports: Sequence[Report]) -> Sequence[Sequence[Report]]:
    """Cut before a metric comes again."""
    if len({report[0] for report in reports}) == len(reports):
        return [reports]
    found: list[list[Report]] = []
    names: set[str] = set()
    for report in reports:
        if report[0] in names or not found:
            names = set()
            found.append([])
        names.add(report[0])
        found[-1].append(report)
    return found
