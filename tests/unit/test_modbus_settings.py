"""What `check` refuses in a Modbus source, and what it lets pass."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.modbus.endpoint import Serial
from protocols.modbus.settings import Settings
from protocols.modbus.unit import writable_registers

KIND = {"kind": {"const": "telemetry"}}


def faults(unit: dict[str, Any], **options: Any) -> dict[str, str]:
    table = {"host": "plc", "units": {"U": {"unit": 1, "src": "dc1/a/u", **unit}}, **options}
    return dict(msgspec.convert(table, Settings).faults())


def group(*triggers: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"g": {"poll_ms": 100, "triggers": list(triggers), **options}}


def trigger(on: str = "poll", **options: Any) -> dict[str, Any]:
    return {"on": on, "record": KIND, **options}


def mailbox(**options: Any) -> dict[str, Any]:
    table = {"poll_ms": 50, "seq": 100, "seq2": 110, "ack": 120, "registers": {"a": 101}, "record": KIND}
    return {"mailboxes": {"m": table | options}}


def ring(**options: Any) -> dict[str, Any]:
    table = {"poll_ms": 50, "head": 0, "size": 16, "records": 10, "width": 4, "registers": {"a": 0}, "record": KIND}
    return {"rings": {"r": table | options}}


def test_the_example_is_right() -> None:
    site = tomllib.loads((Path(__file__).parents[2] / "examples" / "modbus.toml").read_text())
    table = {key: value for key, value in site["sources"]["plc"].items() if key not in ("protocol", "covers")}
    made = msgspec.convert(table, Settings)
    assert list(made.faults()) == []
    writable = {pair for unit in made.units.values() for pair in writable_registers(unit, made.profile_of(unit))}
    assert writable == {(2, 120)}


def test_a_bare_number_is_a_uint16() -> None:
    assert faults({"holding": {"a": 5}, "groups": group(trigger("change", register="a"))}) == {}


@pytest.mark.parametrize(
    ("unit", "path", "says"),
    [
        ({}, "units.U", "nothing to read"),
        ({"holding": {"a": {"address": 0, "type": "string"}}}, "units.U.holding.a.length_bytes", "needs it"),
        ({"holding": {"a": {"address": 0, "length_bytes": 4}}}, "units.U.holding.a.length_bytes", "no other type"),
        ({"holding": {"a": {"address": 65_535, "type": "uint32"}}}, "units.U.holding.a.address", "beyond"),
        ({"holding": {"a": {"address": 0, "type": "bits"}}}, "units.U.holding.a.bits", "needs it"),
        (
            {"holding": {"a": {"address": 0, "type": "bits", "bits": {"x": "7..4"}}}},
            "units.U.holding.a.bits.x",
            "range",
        ),
        ({"holding": {"a": {"address": 0, "type": "bool", "scale": 2}}}, "units.U.holding.a.scale", "scaled"),
        ({"holding": {"a": 0}, "input": {"a": 1}}, "units.U", "two values"),
        (
            {"holding": {"a": 0}, "groups": group(trigger(), registers=["b"])},
            "units.U.groups.g.registers[0]",
            "no register",
        ),
        (
            {"holding": {"a": 0}, "groups": group(trigger("change"))},
            "units.U.groups.g.triggers[0].register",
            "needs one of a",
        ),
        (
            {"holding": {"a": 0}, "groups": group(trigger("rising", register="a"))},
            "units.U.groups.g.triggers[0].register",
            "no edges",
        ),
        (
            {"holding": {"a": 0}, "groups": group(trigger(register="a"))},
            "units.U.groups.g.triggers[0].register",
            "leave register out",
        ),
        (
            {"holding": {"weight": 0}, "groups": group({"on": "poll", "record": KIND | {"weight_g": "wieght"}})},
            "units.U.groups.g.triggers[0].record.weight_g.path",
            "'weight'",
        ),
        (mailbox(seq2=90), "units.U.mailboxes.m.seq2", "after seq"),
        (mailbox(seq2=225), "units.U.mailboxes.m.seq2", "at most 124"),
        (mailbox(ack=105), "units.U.mailboxes.m.ack", "inside the block"),
        (mailbox(first=1), "units.U.mailboxes.m.wrap", "65535"),
        (mailbox(registers={"a": 110}), "units.U.mailboxes.m.registers.a", "outside the block"),
        (mailbox(record=KIND | {"seq": "a"}), "units.U.mailboxes.m.record.seq", "comes from the mailbox"),
        (ring(size=10), "units.U.rings.r.size", "divide"),
        (ring(records=65_500), "units.U.rings.r.records", "beyond"),
        (ring(registers={"a": {"address": 3, "type": "uint32"}}), "units.U.rings.r.registers.a", "outside the record"),
        ({**ring(), **mailbox()}, "units.U.rings.r.src", "already numbers"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(unit: dict[str, Any], path: str, says: str) -> None:
    found = faults(unit)
    assert says in found.get(path, ""), found


@pytest.mark.parametrize(
    "unit",
    [
        {"unit": 300},
        {"holding": {"a": 70_000}},
        {"holding": {"a": {"address": 0, "typ": "int16"}}},
        {"holding": {"a b": 0}},
        {"groups": group()},
        mailbox(wrap=70_000),
        ring(width=126),
    ],
)
def test_what_the_types_refuse(unit: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        faults(unit)


def test_the_pause_between_two_attempts_has_bounds_in_order() -> None:
    assert "reconnect_max_ms" in faults(ring(), reconnect_min_ms=500, reconnect_max_ms=100)


def source_faults(**table: Any) -> dict[str, str]:
    unit = {"unit": 1, "src": "dc1/a/u", **ring()}
    return dict(msgspec.convert({"units": {"U": unit}, **table}, Settings).faults())


@pytest.mark.parametrize(
    ("table", "path", "says"),
    [
        ({}, "units.U.host", "where is it"),
        ({"host": "plc", "backups": ["a b"]}, "backups[0]", "no address"),
        ({"host": "plc", "backups": ["10.0.0.1:70000"]}, "backups[0]", "no address"),
        ({"host": "plc", "transport": "rtu"}, "serial", "needs it"),
        ({"host": "plc", "serial": {"device": "/dev/ttyS0"}}, "serial", "no other transport"),
        ({"host": "plc", "transport": "rtu", "serial": {"device": "/dev/ttyS0"}}, "host", "serial line has none"),
        ({"host": "plc", "transport": "rtu_over_tcp", "in_flight_max": 2}, "in_flight_max", "no number"),
        ({"host": "plc", "transport": "rtu_over_tcp", "tls": {}}, "tls", "only with"),
        ({"host": "plc", "echo": True}, "echo", "carry a number"),
        ({"host": "plc", "profiles": {"P": {}}}, "profiles.P", "nothing to read"),
        (
            {"host": "plc", "units": {"U": {"unit": 1, "src": "s", "profile": "Q"}}, "profiles": {"P": ring()}},
            "units.U.profile",
            "one of P",
        ),
        (
            {
                "host": "plc",
                "units": {"U": {"unit": 1, "src": "s", "profile": "P", **ring()}},
                "profiles": {"P": ring()},
            },
            "units.U.profile",
            "leave its own",
        ),
        (
            {"host": "plc", "units": {"U": {"unit": 1, "src": "s", **ring(poll="fast")}}},
            "units.U.rings.r.poll_ms",
            "Either",
        ),
        (
            {"host": "plc", "units": {"U": {"unit": 1, "src": "s", **ring(poll_ms=None, poll="fast")}}},
            "units.U.rings.r.poll",
            "no poll class fast",
        ),
        ({"host": "plc", "units": {"U": {"unit": 1, "src": "s", "port": 5, **ring()}}}, "units.U.host", "go with"),
        (
            {"units": {name: {"unit": 1, "src": "s", "host": name, "profile": "P"} for name in "ab"}}
            | {"profiles": {"P": ring(src="same")}},
            "units.b.rings.r.src",
            "already numbers",
        ),
    ],
)
def test_what_is_wrong_with_a_source_is_named_with_its_path(table: dict[str, Any], path: str, says: str) -> None:
    found = source_faults(**table)
    assert says in found.get(path, ""), found


def test_units_of_one_profile_with_addresses_of_their_own_are_right() -> None:
    units = {
        name: {"unit": 1, "src": f"dc1/{name}", "profile": "P", "host": name, "backups": ["[fe80::1]:1502", "spare"]}
        for name in ("a", "b")
    }
    polls = {"fast": {"poll_ms": 50, "jitter_ms": 5, "deadline_ms": 100, "catch_up": "skip", "overdue": "gap"}}
    table = {"units": units, "profiles": {"P": ring(poll_ms=None, poll="fast")}, "polls": polls}
    made = msgspec.convert(table, Settings)
    assert list(made.faults()) == []
    assert made.endpoint_of(made.units["a"]).addresses == (("a", 502), ("fe80::1", 1502), ("spare", 502))


def test_the_port_of_tls_is_its_own() -> None:
    table = {"host": "plc", "tls": {}, "units": {"U": {"unit": 1, "src": "s", **ring()}}}
    made = msgspec.convert(table, Settings)
    assert made.endpoint_of(made.units["U"]).addresses == (("plc", 802),)


def test_serial_lines_keep_their_silence() -> None:
    assert Serial(device="/dev/ttyS0").silence_s == pytest.approx(3.5 * 11 / 19_200)
    assert Serial(device="/dev/ttyS0", baud=115_200).silence_s == 0.00175
