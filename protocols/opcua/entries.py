"""The site file's entries, compiled once for the life of the driver."""

from __future__ import annotations

from typing import NamedTuple

from engine.contracts import Intake
from protocols.mapping.plan import RecordPlan, compile_record
from protocols.mapping.sequence import Sequences
from protocols.mapping.settings import FieldSettings, RecordSettings, field_settings
from protocols.opcua.events import EventsRecord
from protocols.opcua.names import NodeName, Path, Step, parse_event_type, parse_field, parse_node
from protocols.opcua.settings import Events, Settings, Variables
from protocols.opcua.variables import Counter, VariablesRecord


class VariablesEntry(NamedTuple):
    """`name` as an operator finds it in the site file: `variables.cartons`."""

    name: str
    record: VariablesRecord
    nodes: dict[str, NodeName | Path]


class EventsEntry(NamedTuple):
    name: str
    record: EventsRecord
    notifier: NodeName | Path
    event_type: NodeName | Step


Entry = VariablesEntry | EventsEntry


def compile_entries(settings: Settings, intake: Intake) -> list[Entry]:
    """All entries of settings without faults, sharing one set of counters."""
    sequences = Sequences(intake.position)
    entries: list[Entry] = []
    for name, variables in settings.variables.items():
        nodes = {node: parse_node(text, settings.namespaces) for node, text in variables.nodes.items()}
        record = _variables_record(variables, sequences, intake)
        entries.append(VariablesEntry(f"variables.{name}", record, nodes))
    for name, events in settings.events.items():
        entries.append(_events_entry(f"events.{name}", events, settings, sequences))
    return entries


def _variables_record(settings: Variables, sequences: Sequences, intake: Intake) -> VariablesRecord:
    numbered = field_settings(settings.record["seq"]) if "seq" in settings.record else FieldSettings()
    if numbered.path != settings.trigger or numbered.table is not None or numbered.bit is not None:
        return VariablesRecord(settings, _compile(settings, settings.record, sequences))
    plan = _compile(settings, {"epoch": "epoch", **settings.record}, sequences)
    known = intake.position(settings.src) if "src" not in settings.record else None
    if known is None:
        return VariablesRecord(settings, plan, Counter(numbered.wrap))
    epoch, seq = known
    return VariablesRecord(settings, plan, Counter(numbered.wrap, seq % numbered.wrap if numbered.wrap else seq, epoch))


def _events_entry(name: str, settings: Events, site: Settings, sequences: Sequences) -> EventsEntry:
    fields = {field: parse_field(path, site.namespaces) for field, path in settings.fields.items()}
    return EventsEntry(
        name,
        EventsRecord(settings, _compile(settings, settings.record, sequences), fields),
        parse_node(settings.notifier, site.namespaces),
        parse_event_type(settings.event_type, site.namespaces),
    )


def _compile(settings: Variables | Events, record: RecordSettings, sequences: Sequences) -> RecordPlan:
    return compile_record(
        record,
        constants={"src": settings.src},
        when=settings.when,
        each=settings.each,
        sequences=sequences,
    )
