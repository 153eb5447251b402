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

from simulators import floor as f
from simulators.floor import SECOND, Happening, Shipment, Story
from simulators.ledger import Ledger
from simulators.orders import STATIONS
from simulators.settings import Troubles
from simulators.statements import Record, statements

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
    dev_ids: dict[f.Named, str] = field(default_factory=dict)


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
    said = [Said(record, happening) for happening in story.happenings for record in statements(story.site, happening)]
    said += _noise(story, len(said), troubles.noise, noise_areas, rng)
    said.sort(key=lambda one: one.record["t"])
    _number(story, said, restarts, epoch)
    for one in said:
        one.t_rx = one.record["t"] + _TRANSIT_US + rng.randrange(troubles.disorder_ms * 1_000 + 1)
    _delay_picks(story, said, troubles.late_picks, rng)
    _delay_context(story, said, troubles.late_context, rng)
    said += _duplicates(said, troubles.duplicates, rng)
    said.sort(key=lambda one: one.t_rx)
    dev_ids = {one.about: dev_id(one.record) for one in said if isinstance(one.about, f.Named)}
    return Telling(said, dev_ids)


def dev_id(record: Record) -> str:
    """The name of a numbered record: `src/epoch/seq/sub`."""
    return f"{record['src']}/{record.get('epoch', 0)}/{record['seq']}/{record.get('sub', 0)}"


def write(said: Iterable[Said]) -> Iterator[bytes]:
    """NDJSON, one record a line, with its line end."""
    for one in said:
        yield json.dumps(one.arrived(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


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
    would decide whether the task was ever complete, and no sum of pieces could say what is right. Nor where the close
    of the carton, or a deadline, would be taken for a short meanwhile: the task stays closed then. Nor in a carton that
    is opened again: whether it was empty when it was closed first would depend on what was known."""
    if not share or story.policy.short_on_close:
        return
    ledger = Ledger(story.happenings)
    for one in said:
        if not isinstance(one.about, f.Picked) or rng.random() >= share:
            continue
        task = one.about.task
        closes = [close.t for close in ledger.closes(task.carton)]
        if not closes or ledger.reversals(task) or task.deadline or len(closes) > 1 or ledger.line_changed(task.line):
            continue
        if rng.random() < 0.75:
            closed = closes[min(bisect_left(closes, one.about.t), len(closes) - 1)]
            one.t_rx = closed + int(rng.uniform(15, 240) * SECOND)
            one.hist = True
        else:
            one.t_rx = one.about.t + int(rng.uniform(2.2, 4.8) * SECOND)


def _delay_context(story: Story, said: list[Said], share: float, rng: Random) -> None:
    """Of some shipments the orders and tasks are told when the goods are already on their way. Not where anything of
    them changed: what the order system says comes in the order in which it decided it. And cancels are told when the
    floor hears of them."""
    for one in said:
        if isinstance(one.about, f.OrderCancelled):
            one.t_rx += one.about.known - one.about.t
    if not share:
        return
    ledger = Ledger(story.happenings)
    delays_us: dict[str, int] = {}
    for shipment in story.shipments:
        if rng.random() < share and _never_changed(shipment, ledger):
            delay_us = int(rng.uniform(20, 240) * SECOND)
            delays_us |= {order.id: delay_us for order in shipment.orders}
    for one in said:
        if isinstance(one.about, f.Announced) and one.about.kind in ("order.released", "pick.task"):
            one.t_rx += delays_us.get(one.record["order"], 0)


def _never_changed(shipment: Shipment, ledger: Ledger) -> bool:
    """Nor was a carton opened again, for then it would depend on what was known whether it was empty when it was closed
    first; nor is anything told by the line of which the order system has planned tasks: it would count for the line."""
    if any(len(ledger.closes(carton)) > 1 for carton in shipment.cartons):
        return False
    return not any(
        ledger.line_changed(line)
        or ledger.line_cancelled(line)
        or ledger.not_allocated(line)
        or any(task.deadline or task.line_only or ledger.cancelled_at(task) for task in line.tasks)
        for line in shipment.lines
    )


def _duplicates(said: list[Said], share: float, rng: Random) -> list[Said]:
    """The same record again: mostly soon (a message sent twice), sometimes after a minute (a buffer told again)."""
    doubled: list[Said] = []
    for one in said:
        if one.about is not None and rng.random() < share:
            soonest_s, latest_s = (0.05, 2.0) if rng.random() < 0.7 else (5.0, 60.0)
            again = one.t_rx + int(rng.uniform(soonest_s, latest_s) * SECOND)
            doubled.append(Said(one.record, one.about, again, one.hist))
    return doubled
