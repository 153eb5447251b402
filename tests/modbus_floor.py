"""A scale, a sorter and a crane for tests of the Modbus driver: how the site describes them, and what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from tests.modbus import Plc

SCALE = {
    "unit": 1,
    "src": "dc1/pack/SCL-01",
    "holding": {
        "status": {"address": 10, "type": "bits", "bits": {"stable": 0}},
        "weight": {"address": 11, "type": "uint32"},
        "lu": {"address": 13, "type": "string", "length_bytes": 8},
    },
    "groups": {
        "weighing": {
            "poll_ms": 5,
            "triggers": [
                {
                    "on": "rising",
                    "register": "stable",
                    "record": {"kind": {"const": "weigh"}, "lu": "lu", "weight_g": {"path": "weight", "scale": 0.1}},
                }
            ],
        }
    },
}
SORTER = {
    "unit": 2,
    "src": "dc1/sorter/SRT-01",
    "mailboxes": {
        "events": {
            "poll_ms": 5,
            "seq": 100,
            "seq2": 104,
            "ack": 110,
            "registers": {"what": 101, "track": 102, "dest": 103},
            "record": {
                "kind": {"path": "what", "table": {"1": "item.inducted", "2": "divert.confirmed"}},
                "track": "track",
                "dest": {"path": "dest", "absent": [0]},
            },
        }
    },
}
CRANE: dict[str, Any] = {
    "unit": 3,
    "src": "dc1/asrs/CRN-01",
    "rings": {
        "moves": {
            "poll_ms": 5,
            "head": 0,
            "size_address": 1,
            "size": 8,
            "records": 10,
            "width": 4,
            "registers": {"lu": {"address": 0, "type": "string", "length_bytes": 4}, "loc": 2},
            "record": {"kind": {"const": "store.confirmed"}, "lu": "lu", "loc": "loc"},
        }
    },
}


def run(story: Coroutine[Any, Any, None]) -> None:
    """On the event loop that the engine runs on; the adversity tests take the standard library's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story)


def text(value: str, registers: int) -> list[int]:
    raw = value.encode().ljust(2 * registers, b"\0")
    return [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]


def weigh(plc: Plc, lu: str, tenths: int) -> None:
    plc.set(11, tenths >> 16, tenths & 0xFFFF, *text(lu, 4))
    plc.set(10, 1)


def post(plc: Plc, seq: int, what: int = 1, track: int = 7, dest: int = 0) -> None:
    plc.set(100, seq, what, track, dest, seq, unit=2)


def stow(plc: Plc, count: int) -> None:
    """The crane writes records until its head shows `count`."""
    for number in range(plc.get(0, unit=3), count):
        plc.set(10 + number % 8 * 4, *text(f"L{number}", 2), number, unit=3)
        plc.set(0, (number + 1) % 65_536, unit=3)


def crane_plc() -> Plc:
    plc = Plc()
    plc.set(1, 8, unit=3)
    return plc
