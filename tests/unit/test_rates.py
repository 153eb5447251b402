"""How often a source speaks, and where its clock stands: an alarm that decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

BEGIN_US = 1_795_420_800_000_000  # a whole minute
MINUTE_US = 60_000_000
SRC = "dc1/conveyor/SCN-01"


class Watched:
    """A core with one source, told minute by minute."""

    def __init__(self, **rules: Any) -> None:
        self.core = Core("dc1", texts := Texts(), {"rate_band": 4, "idle_source_ms": 300_000, **rules})
        self.batch, self.decoder = Batch(texts), make_decoder(texts)
        self.minute, self.seq = 0, 0

    def feed(self, lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        self.batch.clear()
        assert self.decoder.decode(b"\n".join(json.dumps(line).encode() for line in lines), self.batch) == []
        self.core.feed(self.batch)
        events = [json.loads(event[4]) for event in self.core.take()]
        return [event for event in events if event["data"].get("code") in ("SRC_RATE", "SRC_DOWN")]

    def tell(self, count: int, minutes: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """So many records in each of the next minutes; and the clock goes on to their end."""
        told = []
        for _ in range(minutes):
            told += self.feed(self.records(count, fields))
            self.minute += 1
            told += self.feed([{"src": "dc1/engine", "kind": "clock.tick", "t_rx": BEGIN_US + self.minute * MINUTE_US}])
        return told

    def records(self, count: int, fields: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for n in range(count):
            self.seq += 1
            t_rx = BEGIN_US + self.minute * MINUTE_US + n * MINUTE_US // count + 1
            said = {"src": SRC, "kind": "photo_eye", "seq": self.seq, "t": t_rx - 20_000, "t_rx": t_rx, **fields}
            yield said if n % 2 else said | {"kind": "scan.read", "lu": f"L-{self.seq}", "point": "P1"}


def kinds(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"].split(".")[3], event["data"]["code"]) for event in events]


@pytest.mark.parametrize(("count", "detail"), [(500, "500 records a minute, usually 100"), (10, "10 records a minute")])
def test_a_minute_far_from_what_is_usual_is_an_alarm_and_the_next_usual_one_ends_it(count: int, detail: str) -> None:
    watched = Watched()
    assert watched.tell(100, minutes=70) == []
    (raised,) = watched.tell(count)
    assert (raised["data"]["code"], raised["data"]["subject"]) == ("SRC_RATE", SRC)
    assert raised["data"]["detail"].startswith(detail)
    assert watched.tell(count, minutes=3) == []
    assert kinds(watched.tell(100)) == [("cleared", "SRC_RATE")]


def test_silence_is_noticed_by_the_clock_alone() -> None:
    watched = Watched()
    watched.tell(100, minutes=70)
    assert kinds(watched.tell(0)) == [("raised", "SRC_RATE")]


def test_nothing_is_unusual_within_the_first_hour_nor_of_a_source_that_says_little() -> None:
    watched = Watched()
    assert watched.tell(100, minutes=59) + watched.tell(1000) == []
    quiet = Watched()
    assert quiet.tell(2, minutes=70) + quiet.tell(0, minutes=5) + quiet.tell(7) == []


def test_what_lasts_becomes_usual() -> None:
    watched = Watched()
    watched.tell(100, minutes=70)
    assert kinds(watched.tell(500, minutes=300)) == [("raised", "SRC_RATE"), ("cleared", "SRC_RATE")]


def test_a_link_that_is_down_is_not_a_source_that_says_little() -> None:
    watched = Watched()
    watched.tell(100, minutes=70)
    down = watched.feed([{"src": SRC, "kind": "link.down", "t_rx": BEGIN_US + watched.minute * MINUTE_US + 1}])
    assert kinds(down) == [("raised", "SRC_DOWN")]
    assert watched.tell(0, minutes=10) == []
    assert kinds(watched.tell(20) + watched.tell(100, minutes=3)) == [("cleared", "SRC_DOWN")]


def test_a_source_that_is_not_watched_raises_nothing() -> None:
    watched = Watched(rate_band=0)
    assert watched.tell(100, minutes=70) + watched.tell(2_000) + watched.tell(0, minutes=5) == []


def test_what_was_learned_outlives_a_restart() -> None:
    watched = Watched()
    watched.tell(100, minutes=70)
    again = gone_on(watched)
    assert again.tell(500) == watched.tell(500) != []


def gone_on(before: Watched, **rules: Any) -> Watched:
    """The same, after a restart by other rules."""
    again = Watched(**rules)
    again.core.restore(before.core.snapshot())
    again.minute, again.seq = before.minute, before.seq
    return again


def test_a_source_that_is_not_watched_any_more_is_not_unusual() -> None:
    watched = Watched()
    watched.tell(100, minutes=70)
    assert kinds(watched.tell(500)) == [("raised", "SRC_RATE")]
    assert kinds(gone_on(watched, rate_band=0).tell(500, minutes=3)) == [("cleared", "SRC_RATE")]


def test_a_source_is_watched_from_the_change_on() -> None:
    before = Watched(rate_band=0)
    before.tell(100, minutes=70)
    watched = gone_on(before)
    assert watched.tell(100, minutes=62) == []
    assert kinds(watched.tell(500)) == [("raised", "SRC_RATE")]


def test_where_the_clock_of_a_source_stands_is_seen_from_its_quickest_record() -> None:
    watched = Watched(skew_max_ms=60_000)

    def ahead() -> object:
        (source,) = (one for one in watched.core.sources() if one["src"] == SRC)
        return source["ahead_us"]

    t_rx = BEGIN_US + 5
    for late_us in (900_000, 310_000, 4_000_000):
        watched.feed([{"src": SRC, "kind": "photo_eye", "t": t_rx + 3_000_000 - late_us, "t_rx": t_rx}])
        watched.feed([{"src": SRC, "kind": "scan.read", "lu": "L", "t": t_rx + 3_000_000 - late_us, "t_rx": t_rx}])
    assert ahead() == 3_000_000 - 310_000
    watched.feed(
        [{"src": SRC, "kind": "scan.read", "lu": "L", "t": t_rx + MINUTE_US - 5_000, "t_rx": t_rx + MINUTE_US}]
    )
    assert ahead() == 3_000_000 - 310_000  # the minute before still counts
    t_rx += 2 * MINUTE_US
    watched.feed([{"src": SRC, "kind": "scan.read", "lu": "L", "t": t_rx - 5_000, "t_rx": t_rx}])
    assert ahead() == -5_000


def test_a_source_without_times_has_no_clock() -> None:
    watched = Watched()
    watched.feed([{"src": SRC, "kind": "scan.read", "lu": "L", "t_rx": BEGIN_US}])
    assert [one["ahead_us"] for one in watched.core.sources()] == [None]
