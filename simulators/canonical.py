"""What the devices and the order system say about the story, as canonical records, and how it arrives.

A record is a plain dict as it stands in a file: `src`, `epoch`, `seq`, `kind`, `t`, `t_rx`, `hist` and the fields of
its kind. Devices number what they say (`seq`, from 1 in every `epoch`); the conveyor's scanners and the order system do
not.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from simulators import floor as f
from simulators.floor import SECOND, Carton, Happening, Story, Task
from simulators.orders import STATIONS
from simulators.settings import Troubles
from simulators.truth import Ledger

Record = dict[str, Any]

_TRANSIT_US = 20_000  # a message takes at least this long
_NOISE = (
    # device, kind, whether it numbers what it says
    *((f"conveyor/PE-{n:02}", "photo_eye", False) for n in range(1, 9)),
    *((f"conveyor/MTR-{n:02}", "motor.state", False) for n in range(1, 7)),
    *((f"pick/PTL-{n:02}", "machine.state", True) for n in range(1, STATIONS + 1)),
    ("sorter/SRT-01", "zone.state", True),
    ("asrs/CRN-01", "telemetry", True),
    ("pack/PK-01", "machine.state", True),
)


@dataclass(eq=False, slots=True)
class Said:
    """One record on its way. `about` is None for noise."""

    record: Record
    about: Happening | None
    t_rx: int = 0
    hist: bool = False

    def arrived(self) -> Record:
        """The record as the engine's driver would hand it over."""
        return self.record | {"t_rx": self.t_rx} | ({"hist": True} if self.hist else {})


@dataclass(slots=True)
class Telling:
    """Everything that is said, in order of arrival, and the names of the reversals (their `dev_id`)."""

    said: list[Said]
    dev_ids: dict[f.PutBack, str] = field(default_factory=dict)


def tell(
    story: Story,
    seed: int,
    troubles: Troubles | None = None,
    *,
    noise_areas: tuple[str, ...] = (),
    restarts: bool = True,
    epoch: int = 0,
) -> Telling:
    """The story as it arrives. The same arguments give the same telling; troubles change no fact, only its way.

    `noise_areas`: only devices below these (`conveyor/`) make noise; empty: all. `restarts`: one pick station starts
    anew in the middle of the story, and numbers from 1 in a new epoch. `epoch`: the first epoch of all devices.
    """
    troubles = troubles or Troubles()
    rng = Random(f"{seed}/telling")
    said = [Said(record, happening) for happening in story.happenings for record in _records(story.site, happening)]
    said += _noise(story, len(said), troubles.noise, noise_areas, rng)
    said.sort(key=lambda one: one.record["t"])
    _number(story, said, restarts, epoch)
    for one in said:
        one.t_rx = one.record["t"] + _TRANSIT_US + rng.randrange(troubles.disorder_ms * 1_000 + 1)
    _delay_picks(story, said, troubles.late_picks, rng)
    said += _duplicates(said, troubles.duplicates, rng)
    said.sort(key=lambda one: one.t_rx)
    dev_ids = {one.about: dev_id(one.record) for one in said if isinstance(one.about, f.PutBack)}
    return Telling(said, dev_ids)


def dev_id(record: Record) -> str:
    """The name of a numbered record: `src/epoch/seq/sub`."""
    return f"{record['src']}/{record.get('epoch', 0)}/{record['seq']}/{record.get('sub', 0)}"


def write(said: Iterable[Said]) -> Iterator[bytes]:
    """NDJSON, one record a line, with its line end."""
    for one in said:
        yield json.dumps(one.arrived(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


# ---- what is said


def _records(site: str, happening: Happening) -> Iterator[Record]:
    src, kind, fields = _statement(happening)
    if src:
        yield {"src": f"{site}/{src}", "kind": kind, "t": happening.t} | fields


def _statement(happening: Happening) -> tuple[str, str, Record]:
    """Who says it, as which kind, with which fields; nobody (an empty source) where no device can see it."""
    match happening:
        case f.Picked(_, task, qty, lot, says_lu):
            return _station(task), "pick.confirm", _moved(task, qty, lot, says_lu)
        case f.PutBack(_, task, qty, lot):
            return _station(task), "pick.reverse", _moved(task, qty, lot, True)
        case f.Shorted(_, task, code):
            return _station(task), "pick.short", _work(task) | {"code": code, "loc": task.loc}
        case f.Opened(_, carton):
            return "pack/PK-01", "carton.open", {"lu": carton.lu}
        case f.Closed(_, carton):
            return "pack/PK-01", "carton.close", {"lu": carton.lu}
        case f.Reopened(_, carton):
            return "pack/PK-01", "carton.reopen", {"lu": carton.lu}
        case f.Labelled(_, carton, result):
            read = {"sscc": carton.sscc} if result == "OK" else {}
            return "pack/PK-01", "label.verified", {"lu": carton.lu, "result": result} | read
        case f.Weighed(_, carton, weight_g):
            return "pack/SCL-01", "weigh", {"lu": carton.lu, "weight_g": weight_g}
        case f.Passed(_, carton, scanner, legible):
            seen: Record = {"lu": carton.lu} if legible else {"track": carton.sscc[-5:]}
            return f"conveyor/SCN-{scanner:02}", "scan.read" if legible else "scan.noread", seen
        case f.Stored(_, pallet, loc):
            return "asrs/CRN-01", "store.confirmed", {"lu": pallet, "loc": loc}
        case f.Retrieved(_, pallet, loc):
            return "asrs/CRN-01", "retrieve.confirmed", {"lu": pallet, "loc": loc}
        case f.Inducted() | f.Read() | f.NotRead() | f.Identified() | f.Looped() | f.Diverted():
            return "sorter/SRT-01", *_on_sorter(happening)
        case _:
            return "wms/main", *_order_system(happening)


def _station(task: Task) -> str:
    return f"pick/PTL-{task.station:02}"


def _work(task: Task) -> Record:
    return {"task": task.id} if task.id else {"order": task.line.order, "line": task.line.number}


def _moved(task: Task, qty: int, lot: str, says_lu: bool) -> Record:
    fields = _work(task) | {"sku": task.line.sku.name, "qty": qty, "loc": task.loc}
    return fields | ({"lu": task.carton.lu} if says_lu else {}) | ({"lot": lot} if lot else {})


def _on_sorter(
    happening: f.Inducted | f.Read | f.NotRead | f.Identified | f.Looped | f.Diverted,
) -> tuple[str, Record]:
    track: Record = {"track": str(happening.ride.track)}
    lu = {"lu": happening.ride.carton.lu}
    match happening:
        case f.Inducted(_, _, says_lu):
            return "item.inducted", track | (lu if says_lu else {})
        case f.Read():
            return "scan.read", track | lu
        case f.NotRead():
            return "scan.noread", track
        case f.Identified():
            return "ident.assigned", track | lu
        case f.Looped():
            return "item.recirculated", track
        case f.Diverted(_, _, dest, dest_req):
            return "divert.confirmed", track | {"dest": dest, "dest_req": dest_req}


def _order_system(happening: Happening) -> tuple[str, Record]:
    match happening:
        case f.Announced(_, kind, body):
            return kind, dict(body)
        case f.Planned(_, shipment, rev):
            scope = [{"order": line.order, "line": line.number, "qty": line.qty} for line in shipment.lines]
            body = {"shipment": shipment.id, "rev": rev, "scope": scope, "carrier": shipment.carrier}
            staging = {"stage_required": True, "lanes": shipment.lanes} if shipment.stage_required else {}
            return "shipment.plan", body | staging
        case f.Unplanned(_, carton):
            return "carton.plan", {"carton": carton.id, "rev": 2, "shipment": carton.shipment.id, "contents": []}
        case f.Bound(_, carton):
            return "lu.bind", {"lu": carton.lu, "rev": 1} | _target(carton)
        case f.Released(_, carton):
            return "lu.release", {"lu": carton.lu, "rev": 2} | _target(carton)
        case f.Manifested(_, shipment, manifest_no, cartons):
            tracking = [{"carton": c.id, "tracking_no": c.tracking_no} for c in cartons if c.id]
            body = {"shipment": shipment.id, "rev": 1, "manifest_no": manifest_no, "tracking": tracking}
            return "manifest.result", body | {"carrier": shipment.carrier}
        case _:
            raise AssertionError(f"nobody tells {type(happening).__name__}")


def _target(carton: Carton) -> Record:
    return {"carton": carton.id} if carton.id else {"order": carton.shipment.orders[0].id}


def _noise(story: Story, facts: int, share: float, areas: tuple[str, ...], rng: Random) -> Iterator[Said]:
    """So much chatter that it is `share` of everything."""
    devices = [device for device in _NOISE if not areas or device[0].startswith(areas)]
    first, last = story.happenings[0].t, story.happenings[-1].t
    for _ in range(round(facts * share / (1 - share))):
        device, kind, _numbers = rng.choice(devices)
        body: Record = {"state": rng.choice(("set", "clear"))}
        if kind == "telemetry":
            body = {"position_mm": rng.randrange(60_000), "drive_temp_dc": rng.randrange(300, 700)}
        record = {"src": f"{story.site}/{device}", "kind": kind, "t": rng.randrange(first, last + 1)} | body
        yield Said(record, None)


# ---- how it arrives


def _number(story: Story, said: list[Said], restarts: bool, first_epoch: int) -> None:
    """Numbers per source in the order in which things happened, before anything is lost, doubled or overtaken."""
    silent = {f"{story.site}/{device}" for device, _, numbers in _NOISE if not numbers}
    restarted = f"{story.site}/pick/PTL-03"
    half = said[len(said) // 2].record["t"]
    last: dict[tuple[str, int], int] = {}
    for one in said:
        src = one.record["src"]
        if src in silent or "/conveyor/" in src or "/wms/" in src:
            continue
        epoch = first_epoch + (restarts and src == restarted and one.record["t"] >= half)
        last[src, epoch] = last.get((src, epoch), 0) + 1
        one.record["epoch"] = epoch
        one.record["seq"] = last[src, epoch]


def _delay_picks(story: Story, said: list[Said], share: float, rng: Random) -> None:
    """Some presses come when their carton is closed and told. Not where a piece was put back: there the order of news
    would decide whether the task was ever complete, and no sum of pieces could say what is right."""
    if not share:
        return
    ledger = Ledger(story.happenings)
    for one in said:
        if not isinstance(one.about, f.Picked) or rng.random() >= share:
            continue
        task = one.about.task
        closes = [close.t for close in ledger.closes(task.carton)]
        if not closes or ledger.put_back(task):
            continue
        if rng.random() < 0.75:
            closed = closes[min(bisect_left(closes, one.about.t), len(closes) - 1)]
            one.t_rx = closed + int(rng.uniform(15, 240) * SECOND)
            one.hist = True
        else:
            one.t_rx = one.about.t + int(rng.uniform(2.2, 4.8) * SECOND)


def _duplicates(said: list[Said], share: float, rng: Random) -> list[Said]:
    """The same record again: mostly soon (a message sent twice), sometimes after a minute (a buffer told again)."""
    doubled: list[Said] = []
    for one in said:
        if one.about is not None and rng.random() < share:
            soonest_s, latest_s = (0.05, 2.0) if rng.random() < 0.7 else (5.0, 60.0)
            again = one.t_rx + int(rng.uniform(soonest_s, latest_s) * SECOND)
            doubled.append(Said(one.record, one.about, again, one.hist))
    return doubled
