"""Drivers that somebody only looks at: whatever ends one is said, and what does not fit is counted."""

from __future__ import annotations

import asyncio

import pytest

from engine.contracts import Delivery
from engine.errors import Refused
from engine.onlooking import Onlooker, look
from engine.probe import row, verdict


class Ending:
    """A driver that says it is up, hands a line over, and then ends."""

    def __init__(self, onlooker: Onlooker, line: bytes, error: Exception | None) -> None:
        self._onlooker = onlooker
        self._line = line
        self._error = error

    async def run(self) -> None:
        self._onlooker.state("floor", "up")
        await self._onlooker.put(Delivery("floor", [self._line]))
        if self._error is not None:
            raise self._error
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("lu"), "KeyError: 'lu'"),
        (Refused("no such node"), "no such node"),
        (None, "its driver ended"),
    ],
)
def test_a_driver_that_ends_does_not_work(error: Exception | None, why: str) -> None:
    onlooker = Onlooker()
    driver = Ending(onlooker, b'{"kind":"scan.read","t_rx":1}', error)
    asyncio.run(look({"floor": driver}, onlooker, 0.05))
    account = onlooker.accounts["floor"]
    assert account.state == ("down", why)
    assert account.records == 1
    assert verdict(account) == "down"


@pytest.mark.parametrize("line", [b"{", b"\xff", b'{"kind":1}'])
def test_a_line_that_is_no_record_is_a_fault_and_the_driver_goes_on(line: bytes) -> None:
    onlooker = Onlooker()
    asyncio.run(onlooker.put(Delivery("floor", [line, b'{"kind":"scan.read","t_rx":1}'])))
    account = onlooker.accounts["floor"]
    assert (account.records, account.faults.total()) == (1, 1)


def test_a_gap_is_no_record_of_the_machines_and_is_said() -> None:
    onlooker = Onlooker()
    gap = b'{"kind":"source.gap","src":"a/b/c","t_from":1,"t_to":2,"t_rx":2}'
    asyncio.run(onlooker.put(Delivery("floor", [gap, b'{"kind":"scan.read","t_rx":1}', gap])))
    account = onlooker.accounts["floor"]
    assert (account.records, account.gaps) == (1, 2)
    assert row("floor", "mqtt", account, 1.0)[2:] == ("1/s", "-", "2 gaps: something may have been missed (source.gap)")


@pytest.mark.parametrize(
    ("detail", "cause", "expected"),
    [
        ("", None, "works"),
        ("no answer from p2", None, "in part"),
        ("", "came late", "works"),
        ("waits", "came late", "in part"),
        ("", "lu: missing", "does not fit"),
    ],
)
def test_what_is_said_of_a_source_that_is_up(detail: str, cause: str | None, expected: str) -> None:
    onlooker = Onlooker()
    onlooker.state("floor", "up", detail)
    if cause is not None:
        onlooker.fault("floor", cause, b"")
    assert verdict(onlooker.accounts["floor"], frozenset({"came late"})) == expected


def test_each_device_behind_a_connection_has_a_clock_of_its_own() -> None:
    onlooker = Onlooker()
    onlooker.state("floor", "up")
    for number, ahead_s in enumerate((0, 0, 0, 90, -5)):
        t_rx = 1_800_000_000_000_000
        line = b'{"kind":"scan.read","src":"dc1/SCN-%d","t_rx":%d,"t":%d}' % (number, t_rx, t_rx + ahead_s * 1_000_000)
        asyncio.run(onlooker.put(Delivery("floor", [line] * (1 if ahead_s else 9))))
    account = onlooker.accounts["floor"]
    assert account.offsets_us()[:3] == [("dc1/SCN-3", 90_000_000), ("dc1/SCN-4", -5_000_000), ("dc1/SCN-0", 0)]
    said = "clock of dc1/SCN-3: +90000.0 ms; clock of dc1/SCN-4: -5000.0 ms"
    assert row("floor", "mqtt", account, 1.0) == ("floor", "works", "29/s", "+90000.0 ms", said)
