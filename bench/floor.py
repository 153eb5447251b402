"""Story-like traffic of a big floor, made by plain string building: two million records in some ten seconds.

A carton's way, 16 device records: opened at a pick station, four picks into it, closed at the pack bench, weighed, six
scans along the conveyor, inducted into the sorter, routed, diverted. Orders are bulk: `cartons_an_order` cartons share
the eight lines of one order, so there is little context and, with the default, 52 000 results for 50 000 cartons.
Devices number what they say, sensors of the conveyor do not. 60 % of all records are noise, 1 % of the device records
come twice, each arrives 20 ms to 1.8 s after it happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

SEED = 20261123
SITE = "dc1"
BEGIN_US = 1_795_420_800_000_000  # 2026-11-23 08:00 UTC
SECOND = 1_000_000
NOISE = 0.6
DUPLICATES = 0.01
TRANSIT_US = 20_000
DISORDER_US = 1_780_000
CARTONS_A_SECOND = 50
PICKS = 4
SCANS = 6
LINES = 8
RECORDS_A_CARTON = 12 + PICKS  # of devices: open, picks, close, weigh, scans, induction, route, divert
STATIONS, BENCHES, SCANNERS, SORTERS = 40, 8, 40, 4

_SENSORS = ("photo_eye", "photo_eye", "photo_eye", "motor.state", "zone.state", "telemetry", "machine.state")
"""What makes noise, by frequency. The last one is a pick station's, numbered with its picks."""

_NUMBERLESS = -1


class Floor(NamedTuple):
    """How big the story is. `cartons_an_order` x 4 picks fill the eight lines of an order, piece by piece: 200 make a
    `pick.confirmed` rare, 2 give one for every pick. disorder_us: how much later than others a record may arrive."""

    cartons: int
    cartons_an_order: int = 200
    begin_us: int = BEGIN_US
    seed: int = SEED
    disorder_us: int = DISORDER_US


class _Told(NamedTuple):
    """Records before they arrive, as columns: source, text between `src` and `t`, number or not, time, rest."""

    src: list[str]
    kind: list[str]
    numbered: list[bool]
    t: list[int]
    rest: list[str]

    def say(self, src: str, kind: str, t: int, rest: str, *, numbered: bool = True) -> None:
        self.src.append(f"{SITE}/{src}")
        self.kind.append(kind)
        self.numbered.append(numbered)
        self.t.append(t)
        self.rest.append(rest)


def cartons_for(records: int) -> int:
    """How many cartons make a story of about so many records."""
    return max(1, round(records * (1 - NOISE) / (RECORDS_A_CARTON * (1 + DUPLICATES))))


def lines_of(floor: Floor) -> Iterator[bytes]:
    """The story as canonical NDJSON, one record with its line end at a time, in order of arrival."""
    rng = np.random.default_rng(floor.seed)
    told = _Told([], [], [], [], [])
    for carton in range(floor.cartons):
        if carton % floor.cartons_an_order == 0:
            _release(told, floor, carton)
        _carton(told, floor, carton, rng.integers(0, SECOND, 8).tolist())
    facts = len(told.t)
    _noise(told, round(facts * NOISE / (1 - NOISE)), rng)
    yield from _arrive(told, facts, floor.disorder_us, rng)


def _release(told: _Told, floor: Floor, carton: int) -> None:
    """The order whose pieces the next cartons take."""
    cartons = min(floor.cartons_an_order, floor.cartons - carton)
    pieces = [0] * LINES
    for at in range(cartons * PICKS):
        pieces[at % LINES] += 1
    lines = ",".join(
        f'{{"line":{line + 1},"sku":"{_sku(floor, carton, line)}","qty":{qty}}}'
        for line, qty in enumerate(pieces)
        if qty
    )
    t = _start(floor, carton) - 4 * SECOND
    rest = f'"order":"{_order(floor, carton)}","rev":1,"lines":[{lines}]'
    told.say("wms/main", "order.released", t, rest, numbered=False)


def _carton(told: _Told, floor: Floor, carton: int, jitter: list[int]) -> None:
    start = _start(floor, carton)
    lu = f'"lu":"CTN-{carton:08}"'
    station = carton * 7 % STATIONS
    told.say(f"pick/PTL-{station:02}", "carton.open", start, lu)
    order = _order(floor, carton)
    for pick in range(PICKS):
        line = (carton % floor.cartons_an_order * PICKS + pick) % LINES
        src = f"pick/PTL-{(station + pick) % STATIONS:02}"
        what = f'"order":"{order}","line":{line + 1},"sku":"{_sku(floor, carton, line)}","qty":1'
        rest = f'{what},{lu},"loc":"B-{line:02}-{station:02}"'
        told.say(src, "pick.confirm", start + (2 + 5 * pick) * SECOND + jitter[pick], rest)
    bench = carton % BENCHES
    closed = start + 25 * SECOND + jitter[4]
    told.say(f"pack/PK-{bench:02}", "carton.close", closed, lu)
    told.say(f"pack/SCL-{bench:02}", "weigh", closed + 2 * SECOND, f'{lu},"weight_g":{900 + carton * 37 % 9000}')
    for scan in range(SCANS):
        src = f"conveyor/SCN-{(carton + scan * 7) % SCANNERS:02}"
        told.say(src, "scan.read", closed + (5 + 4 * scan) * SECOND + jitter[5], f'{lu},"point":"P{scan}"')
    sorter = f"sorter/SRT-{carton % SORTERS:02}"
    track, dest = f'"track":"{carton % 65_536}"', f'"dest":"LANE-{carton * 13 % 64:02}"'
    at = closed + 32 * SECOND + jitter[6]
    told.say(sorter, "item.inducted", at, f"{track},{lu}")
    told.say(sorter, "route.assigned", at + 300_000, f"{track},{dest}")
    told.say(sorter, "divert.confirmed", at + 4 * SECOND + jitter[7], f"{track},{dest}")


def _noise(told: _Told, count: int, rng: np.random.Generator) -> None:
    """So many records of sensors, spread over the story."""
    first, last = min(told.t), max(told.t)
    times = rng.integers(first, last + 1, count).tolist()
    which = rng.integers(0, len(_SENSORS), count).tolist()
    device = rng.integers(0, STATIONS, count).tolist()
    for t, sensor, number in zip(times, which, device, strict=True):
        kind = _SENSORS[sensor]
        if kind == "machine.state":
            told.say(f"pick/PTL-{number:02}", kind, t, '"state":"set"')
        elif kind == "telemetry":
            rest = f'"position_mm":{t % 60_000},"drive_temp_dc":{300 + t % 400}'
            told.say(f"asrs/CRN-{number % 6:02}", kind, t, rest, numbered=False)
        else:
            src = f"conveyor/{'MTR' if kind == 'motor.state' else 'PE'}-{number:02}"
            told.say(src, kind, t, f'"state":"{"set" if t & 1 else "clear"}"', numbered=False)


def _arrive(told: _Told, facts: int, disorder_us: int, rng: np.random.Generator) -> Iterator[bytes]:
    t = np.array(told.t)
    seq = _numbers(told, t)
    again = np.flatnonzero((rng.random(facts) < DUPLICATES) & (seq[:facts] >= 0))
    index = np.concatenate([np.arange(len(t)), again])
    t_rx = t[index] + TRANSIT_US + rng.integers(0, disorder_us + 1, len(index))
    order = np.argsort(t_rx, kind="stable")
    for i, received in zip(index[order].tolist(), t_rx[order].tolist(), strict=True):
        number = "" if seq[i] == _NUMBERLESS else f'"seq":{seq[i]},'
        yield (
            f'{{"src":"{told.src[i]}","kind":"{told.kind[i]}",{number}"t":{told.t[i]},{told.rest[i]},'
            f'"t_rx":{received}}}\n'
        ).encode()


def _numbers(told: _Told, t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`seq` from 1 in each source, in order of event time; -1 for what is not numbered."""
    _, source = np.unique(np.array(told.src), return_inverse=True)
    source = np.where(np.array(told.numbered), source, -1)
    order = np.lexsort((t, source))
    grouped = source[order]
    first = np.concatenate([[0], np.flatnonzero(np.diff(grouped)) + 1])
    sizes = np.diff(np.append(first, len(order)))
    seq = np.empty(len(order), dtype=np.int64)
    seq[order] = np.arange(len(order)) - np.repeat(first, sizes) + 1
    seq[source == -1] = _NUMBERLESS
    return seq


def _start(floor: Floor, carton: int) -> int:
    return floor.begin_us + 5 * SECOND + carton * SECOND // CARTONS_A_SECOND


def _order(floor: Floor, carton: int) -> str:
    return f"O-{carton // floor.cartons_an_order:06}"


def _sku(floor: Floor, carton: int, line: int) -> str:
    return f"SKU-{(carton // floor.cartons_an_order * LINES + line) * 31 % 5000:05}"
