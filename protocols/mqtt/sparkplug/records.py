"""From what devices report to canonical lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.errors import DecodeError
from protocols.mapping.lines import encode_line
from protocols.mapping.paths import Scope
from protocols.mapping.plan import FieldPlan, Lines, RecordPlan, compile_record
from protocols.mapping.sequence import Sequences
from protocols.mapping.settings import FieldSettings, field_settings
from protocols.mqtt.sparkplug.node import Report
from protocols.mqtt.sparkplug.settings import RecordOf
from protocols.mqtt.topics import TopicFilter, parse_filter


class Entry:
    """One `records` table."""

    def __init__(self, settings: RecordOf, sequences: Sequences) -> None:
        self.trigger = settings.trigger
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
        t_rx: int,
    ) -> None:
        """The line of one value of the trigger, or the cause why there is none; nothing if it is not meant."""
        root = {"timestamp": report.timestamp, "historical": report.historical, "metrics": values}
        scope = Scope(values, root, captures)
        if not self._plan.meant(scope):
            return
        try:
            found.lines.append(encode_line(self._plan.record(scope, sub, t_rx)))
        except DecodeError as error:
            found.causes.append(error.cause)


class Place:
    """The entries of one device."""

    def __init__(self, entries: Sequence[Entry], place: str) -> None:
        matching = [(entry, captures) for entry in entries if (captures := entry.captures(place)) is not None]
        self._entries = matching
        self.srcs = list(dict.fromkeys(src for entry, captures in matching if (src := entry.src(captures)) is not None))

    def lines(self, values: dict[str, object], reports: Sequence[Report], t_rx: int) -> Lines:
        """Take the reports into `values`, and make a record of every value of a trigger.

        One message may tell several values of one metric: it falls into rounds, none of which has a metric twice.
        Values out of a node's buffer are no news of how things stand now.
        """
        found = Lines([], [])
        subs = dict.fromkeys(range(len(self._entries)), 0)
        for round_ in rounds(reports):
            now = {report.name: report.value for report in round_ if not report.historical}
            values.update(now)
            then: dict[str, object] = values
            if len(now) < len(round_):
                then = values | {report.name: report.value for report in round_}
            for report in round_:
                self._add_record(found, then, report, subs, t_rx)
        return found

    def news(
        self, before: Mapping[str, object], values: dict[str, object], reports: Sequence[Report], t_rx: int
    ) -> Lines:
        """After a birth: records of the triggers whose values are not those that were known before."""
        found = Lines([], [])
        subs = dict.fromkeys(range(len(self._entries)), 0)
        for report in reports:
            if report.name in before and before[report.name] != report.value:
                self._add_record(found, values, report, subs, t_rx)
        return found

    def _add_record(
        self, found: Lines, values: dict[str, object], report: Report, subs: dict[int, int], t_rx: int
    ) -> None:
        for number, (entry, captures) in enumerate(self._entries):
            if entry.trigger == report.name and report.value is not None:
                entry.add(found, values, report, subs[number], captures, t_rx)
                subs[number] += 1


def rounds(reports: Iterable[Report]) -> list[list[Report]]:
    """Cut before a metric comes again."""
    found: list[list[Report]] = []
    names: set[str] = set()
    for report in reports:
        if report.name in names or not found:
            names = set()
            found.append([])
        names.add(report.name)
        found[-1].append(report)
    return found
