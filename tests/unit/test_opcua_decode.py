"""OPC UA's values in plain form, and what notifications mean: events, gaps, repetitions. Without any server."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DecodeError
from ext.opcua_values import DEPTH_MAX, ELEMENTS_MAX, Reading
from protocols.mapping.plan import compile_record
from protocols.opcua.events import EventsRecord, event_filter
from protocols.opcua.harvest import Harvest
from protocols.opcua.settings import Events, Variables
from protocols.opcua.variables import LATER_MAX, Counter, VariablesRecord
from tests.opcua_plain import microseconds, plain

BAD = 0x80000000
OVERFLOW = 0x0480
T_RX = 1_800_000_000_000_000


@dataclasses.dataclass
class Weight:
    Encoding: int = 0
    Grams: int = 5
    Codes: list[str] = dataclasses.field(default_factory=lambda: ["a", "b"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (ua.VariantType.Int16, 4),
        (ua.LocalizedText("text", "en"), "text"),
        (ua.LocalizedText(None), ""),
        (ua.QualifiedName("name", 2), "name"),
        (ua.NodeId("x", 2), "ns=2;s=x"),
        (ua.StatusCode(BAD), BAD),
        (b"\x01\xff", "01ff"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 11, 23, 8, tzinfo=UTC), 1_795_420_800_000_000),
        ([ua.Variant(1), [2]], [1, [2]]),
        (Weight(), {"Grams": 5, "Codes": ["a", "b"]}),
    ],
)
def test_values_in_plain_form(value: object, expected: object) -> None:
    assert plain(value) == expected


def deep(levels: int) -> object:
    return [deep(levels - 1)] if levels else 1


def test_values_without_a_plain_form_are_refused_and_the_limits_hold() -> None:
    assert plain([0] * ELEMENTS_MAX) == [0] * ELEMENTS_MAX
    assert plain(deep(DEPTH_MAX)) == deep(DEPTH_MAX)
    for value in ([0] * (ELEMENTS_MAX + 1), deep(DEPTH_MAX + 1), object(), "x" * 70_000, b"x" * 70_000):
        with pytest.raises(DecodeError):
            plain(value)
    with pytest.raises(DecodeError, match="structures = true"):
        plain(ua.ExtensionObject(TypeId=ua.NodeId(1, 1), Body=b"x"))


@pytest.mark.parametrize(
    ("status", "bad", "overflow"),
    [
        (0, False, False),
        (OVERFLOW, False, True),
        (0x40000000 | OVERFLOW, False, True),
        (0x0080, False, False),  # the low bits speak of a data value only with InfoType 01
        (0x0400, False, False),
        (BAD, True, False),
        (0xC0000000, True, False),
    ],
)
def test_the_status_says_bad_and_overflow(status: int, bad: bool, overflow: bool) -> None:
    got = Reading(1, status)
    assert (got.bad, got.overflow, got.status) == (bad, overflow, status)


def test_dates_that_are_no_time_are_none() -> None:
    assert microseconds(None) is None
    assert microseconds(datetime(1601, 1, 1, tzinfo=UTC)) is None
    assert microseconds(datetime(9999, 12, 31, tzinfo=UTC)) is None
    assert microseconds(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000


# ---- variables


def variables(counter: Counter | None = None, **changes: Any) -> VariablesRecord:
    table = {
        "src": "dc1/pack/PK-01",
        "nodes": {"n": "i=1", "lu": "i=2"},
        "trigger": "n",
        "record": {"kind": {"const": "carton.open"}, "lu": {"path": "lu", "required": True}},
    }
    settings = msgspec.convert(table | changes, Variables)
    record = settings.record if counter is None else {"seq": "n", "epoch": "epoch", **settings.record}
    plan = compile_record(record, constants={"src": settings.src}, when=settings.when, each=settings.each)
    made = VariablesRecord(settings, plan, counter)
    made.connected(T_RX)
    return made


def at(value: object, seconds: int = 0, status: int = 0) -> Reading:
    return Reading(value, status, T_RX + seconds * 1_000_000)


def notify(record: VariablesRecord, *values: Reading) -> tuple[Reading | None, list[dict[str, Any]]]:
    harvest = Harvest("variables.x")
    wanted = record.notified([("n", value) for value in values], T_RX, harvest)
    return wanted, [json.loads(line) for line in harvest.lines]


def collect(record: VariablesRecord, wanted: Reading, n: object, lu: Reading | None = None) -> list[dict[str, Any]]:
    harvest = Harvest("variables.x")
    record.collected(wanted, [at(n), lu or at("T-1")], T_RX, harvest)
    return [json.loads(line) for line in harvest.lines]


def test_a_trigger_alone_is_not_read_and_each_of_its_values_is_a_record() -> None:
    """A code reader with one variable: of two codes between two publishings the first is not gone because the second is
    there by the time of a Read."""
    record = variables(
        nodes={"n": "i=1"}, record={"kind": {"const": "carton.open"}, "lu": {"path": "n", "required": True}}
    )
    assert notify(record, at("T-0")) == (None, [])
    wanted, lines = notify(record, at("T-1", 1), at("T-2", 2))
    assert wanted is None
    assert [(line["lu"], line["t"]) for line in lines] == [("T-1", T_RX + 1_000_000), ("T-2", T_RX + 2_000_000)]


def test_the_first_value_is_the_state_and_a_repeated_one_no_event() -> None:
    record = variables()
    assert notify(record, at(5)) == (None, [])
    assert notify(record, at(5)) == (None, [])
    wanted, lines = notify(record, at(6, 1))
    assert wanted is not None
    assert lines == []
    (made,) = collect(record, wanted, 6)
    assert (made["kind"], made["lu"], made["t"]) == ("carton.open", "T-1", T_RX + 1_000_000)


def test_values_that_moved_on_before_they_were_read_are_a_gap_between_the_accounted_times() -> None:
    record = variables()
    notify(record, at(5))
    wanted, _ = notify(record, at(6, 2))
    assert wanted is not None
    (gap,) = collect(record, wanted, 7)
    assert (gap["kind"], gap["count"], gap["t_from"], gap["t_to"]) == ("source.gap", 1, T_RX, T_RX + 2_000_000)


def test_an_event_that_was_never_read_is_missing_once_the_next_one_comes() -> None:
    record = variables()
    notify(record, at(0))
    wanted, lines = notify(record, at(1, 1))
    assert (wanted is not None and wanted.value, lines) == (1, [])
    assert record.pending is wanted
    later, lines = notify(record, at(2, 2))
    assert [(gap["kind"], gap["count"]) for gap in lines] == [("source.gap", 1)]
    assert later is not None
    assert len(collect(record, later, 2)) == 1
    assert record.pending is None


def test_under_write_the_same_value_written_again_is_an_event_and_a_repetition_is_none() -> None:
    record = variables(edge="write")
    assert notify(record, at("A", 1)) == (None, [])
    for seconds, event in ((1, False), (2, True), (2, False), (3, True)):
        wanted, _ = notify(record, at("A", seconds))
        assert (wanted is not None) is event
        if wanted is not None:
            harvest = Harvest("variables.x")
            record.collected(wanted, [wanted, at("T-1")], T_RX, harvest)
            assert len(harvest.lines) == 1
    wanted, _ = notify(record, at("A", 4))
    assert wanted is not None
    harvest = Harvest("variables.x")
    record.collected(wanted, [at("A", 5), at("T-1")], T_RX, harvest)  # written again before it was read
    assert [json.loads(line)["kind"] for line in harvest.lines] == ["source.gap"]


def test_a_pulse_may_be_over_when_the_values_are_read() -> None:
    record = variables(edge="rising")
    notify(record, at(False))
    wanted, _ = notify(record, at(True, 1))
    assert wanted is not None
    assert [made["kind"] for made in collect(record, wanted, False)] == ["carton.open"]
    assert notify(record, at(False, 2)) == (None, [])


def test_overflow_and_bad_values_are_gaps_and_the_state_after_them_is_told_from_an_event() -> None:
    record = variables()
    notify(record, at(1))
    wanted, (gap,) = notify(record, at(2, 1, OVERFLOW))
    assert wanted is not None
    assert (gap["t_from"], gap["t_to"]) == (T_RX, T_RX + 1_000_000)
    collect(record, wanted, 2)
    assert [line["t_to"] for line in notify(record, at(None, 2, BAD))[1]] == [T_RX + 2_000_000]
    assert notify(record, at(None, 3, BAD))[1] == []
    wanted, (gap,) = notify(record, at(3, 4))
    assert wanted is None  # what changed meanwhile, and how often, nobody knows
    assert (gap["t_from"], gap["t_to"]) == (T_RX + 1_000_000, T_RX + 4_000_000)


def test_after_a_reconnect_one_missed_event_of_a_counter_is_read_and_more_are_a_gap_too() -> None:
    record = variables(Counter())
    notify(record, at(1))
    for n, gaps in ((2, 0), (4, 1)):
        record.connected(T_RX)
        wanted, lines = notify(record, at(n, n))
        assert wanted is not None
        assert [line["kind"] for line in lines] == ["source.gap"] * gaps
        assert [made["seq"] for made in collect(record, wanted, n)] == [n]
    record.connected(T_RX)
    assert notify(record, at(4, 9)) == (None, [])


def test_a_change_that_was_never_read_is_read_after_the_reconnect() -> None:
    record = variables(Counter())
    notify(record, at(1))
    assert notify(record, at(2, 1))[0] is not None  # and then the connection broke before the Read was answered
    record.connected(T_RX)
    wanted, lines = notify(record, at(2, 1))
    assert wanted is not None
    assert lines == []


def test_a_counter_that_begins_anew_is_a_new_epoch_and_a_gap() -> None:
    record = variables(Counter(modulus=256, last=20, epoch=3))
    wanted, (gap,) = notify(record, at(0, 1))
    assert (wanted, gap["kind"]) == (None, "source.gap")
    wanted, lines = notify(record, at(1, 2))
    assert wanted is not None
    assert lines == []
    (made,) = collect(record, wanted, 1)
    assert (made["epoch"], made["seq"]) == (4, 1)


def test_a_counter_that_wraps_goes_on() -> None:
    record = variables(Counter(modulus=256, last=255))
    wanted, lines = notify(record, at(0, 1))
    assert wanted is not None
    assert lines == []


def test_a_missing_value_is_a_fault_with_its_name_and_a_gap() -> None:
    record = variables()
    notify(record, at(1))
    wanted, _ = notify(record, at(2, 1))
    assert wanted is not None
    harvest = Harvest("variables.x")
    record.collected(wanted, [at(2), at(None, 0, BAD)], T_RX, harvest)
    assert [cause for cause, _ in harvest.faults] == ["variables.x: lu: missing", "variables.x: no good value of lu"]
    assert [json.loads(line)["kind"] for line in harvest.lines] == ["source.gap"]


@given(st.permutations(["lu", "n"] * 6))
def test_monitored_values_are_put_together_by_source_time_in_whatever_order_they_come(order: list[str]) -> None:
    record = variables(Counter(), collect="monitor")
    harvest = Harvest("variables.x")
    record.notified([("n", at(0)), ("lu", at("T-0"))], T_RX, harvest)
    left = {"lu": iter([at(f"T-{n}", n) for n in range(1, 7)]), "n": iter([at(n, n) for n in range(1, 7)])}
    record.notified([(name, next(left[name])) for name in order], T_RX, harvest)
    made = [json.loads(line) for line in harvest.lines]
    assert [(line["seq"], line["lu"]) for line in made] == [(n, f"T-{n}") for n in range(1, 7)]


def test_what_was_known_before_an_item_fell_silent_is_put_together_with_nothing_after_it() -> None:
    """The trigger may be told of before the others: before, it took the values of an event of long ago."""
    record, harvest = variables(Counter(), collect="monitor"), Harvest("variables.x")
    record.notified([("n", at(1, 1)), ("lu", at("T-1", 1))], T_RX, harvest)
    record.silenced(T_RX, harvest)
    record.notified([("n", at(7, 7))], T_RX, harvest)
    record.notified([("lu", at("T-8", 8)), ("n", at(8, 8))], T_RX, harvest)
    told = [line.get("lu") for line in map(json.loads, harvest.lines)]
    assert [lu for lu in told if lu] == ["T-8"]


def test_a_clock_that_is_set_back_puts_no_record_together_wrongly() -> None:
    """Before, what came in one cycle with the step was sorted by time: another epoch, and values of another event."""
    record = variables(Counter(), collect="monitor")

    def told(*notes: tuple[str, Reading]) -> tuple[object, list[tuple[Any, ...]]]:
        harvest = Harvest("variables.x")
        wanted = record.notified(list(notes), T_RX, harvest)
        assert harvest.faults == []
        made = [json.loads(line) for line in harvest.lines]
        return wanted and wanted.value, [(line["kind"], line.get("seq"), line.get("lu")) for line in made]

    assert told(("n", at(1, 10)), ("lu", at("T-1", 10))) == (None, [])
    assert told(("lu", at("T-2", 11)), ("n", at(2, 11))) == (None, [("carton.open", 2, "T-2")])
    assert told(("n", at(3, 4)), ("lu", at("T-3", 3))) == (None, [("carton.open", 3, "T-3")])
    # inside an event, and between two
    assert told(("lu", at("T-4", 5)), ("n", at(4, 2))) == (4, [])
    harvest = Harvest("variables.x")
    record.collected(at(4, 2), [at(4, 2), at("T-4", 5)], T_RX, harvest)
    assert [json.loads(line)["lu"] for line in harvest.lines] == ["T-4"]
    burst = [("lu", at("T-5", 6)), ("n", at(5, 6)), ("lu", at("T-6", 4)), ("n", at(6, 4))]
    assert told(*burst) == (6, [("source.gap", None, None)])


def test_monitored_values_that_do_not_belong_together_are_no_record_and_one_that_is_told_too_late_is_named() -> None:
    record = variables(Counter(), collect="monitor")

    def told(*notes: tuple[str, Reading]) -> tuple[list[tuple[Any, ...]], list[str]]:
        harvest = Harvest("variables.x")
        record.notified(list(notes), T_RX, harvest)
        made = [json.loads(line) for line in harvest.lines]
        return [(line["kind"], line.get("seq"), line.get("lu")) for line in made], [
            cause for cause, _ in harvest.faults
        ]

    assert told(("n", at(1, 1)), ("lu", at("T-1", 1))) == ([], [])
    record.connected(T_RX)
    # the state that is found: the device writes the next one already
    assert told(("n", at(2, 2)), ("lu", at("T-3", 3))) == ([("source.gap", None, None)], [])
    assert told(("n", at(3, 3))) == ([("carton.open", 3, "T-3")], [])
    assert told(("n", at(4, 4))) == ([("carton.open", 4, "T-3")], []), "nothing tells that lu has changed"
    late = "variables.x: lu: told after the record that it belongs to: from now on the values are read"
    assert told(("lu", at("T-4", 4))) == ([], [late])
    record.connected(T_RX)
    harvest = Harvest("variables.x")
    read_for = record.notified([("n", at(5, 5)), ("lu", at("T-4", 4))], T_RX, harvest)
    assert read_for is not None, "also over the next connection"
    assert read_for.value == 5
    assert harvest.lines == []


def test_a_value_that_is_told_once_more_is_not_told_too_late() -> None:
    """As after a session was taken up again."""
    record, harvest = variables(Counter(), collect="monitor"), Harvest("variables.x")
    record.notified([("n", at(0)), ("lu", at("T-0"))], T_RX, harvest)
    record.notified([("n", at(1, 1)), ("lu", at("T-1", 1))], T_RX, harvest)
    record.notified([("lu", at("T-1", 1))], T_RX, harvest)
    assert harvest.faults == []


def test_each_element_of_an_array_is_a_record_and_when_says_which_are_meant() -> None:
    record = variables(each="lu", when={"meant": True}, record={"kind": {"const": "carton.open"}, "lu": "id"})
    notify(record, at(1))
    wanted, _ = notify(record, at(2, 1))
    assert wanted is not None
    elements = [{"id": "T-1", "meant": True}, {"id": "T-2", "meant": False}, {"id": "T-3", "meant": True}]
    made = collect(record, wanted, 2, at(elements))
    assert [(line["lu"], line.get("sub", 0)) for line in made] == [("T-1", 0), ("T-3", 2)]


# ---- events


def events(**changes: Any) -> EventsRecord:
    table = {
        "src": "dc1/pack/LBL-01",
        "event_type": "2:T",
        "fields": {"lu": "2:Lu"},
        "record": {"kind": {"const": "carton.open"}, "lu": {"path": "lu", "required": True}},
    }
    settings = msgspec.convert(table | changes, Events)
    made = EventsRecord(settings, compile_record(settings.record, constants={"src": settings.src}), {"lu": ()})
    made.connected(T_RX)
    return made


def tell(record: EventsRecord, *fields: object) -> tuple[list[dict[str, Any]], list[str]]:
    harvest = Harvest("events.x")
    record.notified([plain(field) for field in fields], None, T_RX, harvest)
    return [json.loads(line) for line in harvest.lines], [cause for cause, _ in harvest.faults]


TIME, RECEIVED = datetime(2027, 1, 15, 8, tzinfo=UTC), datetime(2027, 1, 15, 9, tzinfo=UTC)
TYPE = ua.NodeId(1002, 2)


def test_an_event_has_the_time_that_the_site_chose() -> None:
    for time, expected in (("source", TIME), ("server", RECEIVED), ("none", None)):
        (made,), _ = tell(events(time=time), TYPE, TIME, RECEIVED, "T-1")
        assert (made["lu"], made.get("t")) == ("T-1", microseconds(expected))


def test_an_overflow_of_the_event_queue_is_a_gap() -> None:
    record = events()
    tell(record, TYPE, TIME, RECEIVED, "T-1")
    (gap,), faults = tell(record, ua.NodeId(3035, 0), RECEIVED, RECEIVED, None)
    assert (gap["kind"], gap["t_from"], gap["t_to"]) == ("source.gap", microseconds(TIME), microseconds(RECEIVED))
    assert faults == []


def test_events_that_were_discarded_after_an_overflow_lie_before_the_next_one() -> None:
    """open62541 puts one overflow before all that is left of the queue, with the time at which the first was lost."""
    record = events()
    tell(record, TYPE, TIME, RECEIVED, "T-1")
    first, later = TIME + timedelta(seconds=1), TIME + timedelta(seconds=9)
    tell(record, ua.NodeId(3035, 0), first, first, None)
    lines, faults = tell(record, TYPE, later, later, "T-9")
    assert [(line["kind"], line.get("t_from"), line.get("t_to")) for line in lines] == [
        ("source.gap", microseconds(first), microseconds(later)),
        ("carton.open", None, None),
    ]
    lines, more = tell(record, TYPE, RECEIVED, RECEIVED, "T-10")
    assert [line["kind"] for line in lines] == ["carton.open"]
    assert faults + more == []


REFRESH_ENDS, REFRESH_REQUIRED, OVERFLOWN = (ua.NodeId(number, 0) for number in (2788, 2789, 3035))


def test_what_may_have_hidden_the_state_of_a_condition_has_it_told_once_more() -> None:
    record = events(conditions=True)
    assert record.unsure, "what stood before"
    record.refreshed()
    tell(record, REFRESH_ENDS, TIME, TIME, None)
    for harm in (
        lambda: tell(record, OVERFLOWN, TIME, TIME, None),
        lambda: tell(record, REFRESH_REQUIRED, TIME, TIME, None),
        lambda: record.lost(T_RX, Harvest("x")),
        lambda: record.connected(T_RX),
    ):
        assert not record.unsure
        harm()
        assert record.unsure
        record.refreshed()
        tell(record, REFRESH_ENDS, TIME, TIME, None)
    others = events()
    tell(others, OVERFLOWN, TIME, TIME, None)
    assert not others.unsure


def test_conditions_that_overflow_the_queue_when_they_are_told_once_more_are_not_asked_for_again() -> None:
    record = events(conditions=True)
    record.refreshed()
    _, faults = tell(record, OVERFLOWN, TIME, TIME, None)
    assert faults == ["events.x: more conditions than the server queues for us: a larger queue_size"]
    assert not record.unsure


def test_an_event_that_does_not_fit_is_a_fault_and_a_gap() -> None:
    lines, faults = tell(events(), TYPE, TIME, RECEIVED, None)
    assert [line["kind"] for line in lines] == ["source.gap"]
    assert faults == ["events.x: lu: missing"]
    lines, faults = tell(events(), TYPE, TIME)
    assert faults == ["events.x: event: another number of fields than asked for"]


def test_the_filter_names_every_subtype_with_operands_behind_their_operator() -> None:
    types = [ua.NodeId(number, 2) for number in (1, 2, 3)]
    made = event_filter(types[0], types[1:], [[ua.QualifiedName("Lu", 2)]])
    operators = [element.FilterOperator for element in made.WhereClause.Elements]
    either, of_type = ua.FilterOperator.Or, ua.FilterOperator.OfType
    assert operators == [either, of_type, either, of_type, of_type]
    for index, element in enumerate(made.WhereClause.Elements):
        if element.FilterOperator == either:
            assert [operand.Index for operand in element.FilterOperands] == [index + 1, index + 2]


def test_a_node_that_a_machine_always_writes_after_its_trigger_is_learned_and_one_that_it_does_so_once_is_not() -> None:
    record = variables()
    for event in range(1, LATER_MAX + 2):
        harvest = Harvest("variables.x")
        is_first = event <= LATER_MAX
        assert record.later(at(event), [at(event), at("T", 1)], harvest) == ({"lu"} if is_first else set())
        assert len(harvest.faults) == (not is_first)
    again = variables()
    for event in range(5 * LATER_MAX):
        late = event % LATER_MAX != 0
        assert again.later(at(event), [at(event), at("T", int(late))], Harvest("x")) == ({"lu"} if late else set())


CHECKED = {"nodes": {"n": "i=1", "lu": "i=2", "c": "i=3"}, "check": "c"}


@pytest.mark.parametrize(
    ("changes", "trigger", "readings"),
    [
        ({}, at(1), [at(1, 2), at("T", 3)]),  # the server's times are those of its looks
        ({}, Reading(1), [Reading(1), at("T", 3)]),
        ({}, at(True), [at(True), at("T", 1)]),  # a pulse may be over by then
        (
            {"nodes": {"n": "i=1", "lu": "i=2", "c": "i=3"}, "check": "c"},
            at(1),
            [at(1), at(1), at("T", 1), at(1), at(1)],
        ),
        ({}, at(1), [at(1), at("T", 0)]),
    ],
)
def test_what_times_do_not_tell(changes: dict[str, Any], trigger: Reading, readings: list[Reading]) -> None:
    assert variables(**changes).later(trigger, readings, Harvest("x")) == set()
