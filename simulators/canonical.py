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
from typing import cast

from simulators import floor as f
from simulators.floor import SECOND, Happening, Shipment, Story
from simulators.ledger import Ledger
from simulators.orders import STATIONS
from simulators.settings import Troubles
from simulators.statements import Record, statements

SKEWED_STATION = "pick/PTL-05"
SCALE = "pack/SCL-01"
_SKEW_US = 3_600 * SECOND
_QUIET_US = 900 * SECOND
"""No chatter is lost so shortly before the end: what is held for a gap must still be decided within the story."""

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
    _number(story, said, restarts, epoch, (f"{story.site}/{SCALE}",) if troubles.skewed else ())
    said = _lose_chatter(said, troubles.lost_chatter, rng)
    for one in said:
        one.t_rx = one.record["t"] + _TRANSIT_US + rng.randrange(troubles.disorder_ms * 1_000 + 1)
    _delay_picks(story, said, troubles.late_picks, rng)
    _delay_context(story, said, troubles.late_context, rng)
    said += _outages(story, said, troubles.outages, rng)
    if troubles.skewed:
        _skew(f"{story.site}/{SKEWED_STATION}", said)
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


def _number(story: Story, said: list[Said], restarts: bool, first_epoch: int, others: tuple[str, ...]) -> None:
    """Numbers per source in the order in which things happened, before anything is lost, doubled or overtaken."""
    silent = {f"{story.site}/{device}" for device, _, numbers in _NOISE if not numbers} | set(others)
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
    """Some presses come when their carton is closed and told. Not where the site takes that close for a short."""
    if not share or story.policy.short_on_close:
        return
    ledger, timed = Ledger(story.happenings), _cut_off(story)
    for one in said:
        if not isinstance(one.about, f.Picked) or rng.random() >= share or not _may_come_late(one.about, ledger, timed):
            continue
        closes = [close.t for close in ledger.closes(one.about.task.carton)]
        if rng.random() < 0.75:
            closed = closes[min(bisect_left(closes, one.about.t), len(closes) - 1)]
            one.t_rx = closed + int(rng.uniform(15, 240) * SECOND)
            one.hist = True
        else:
            one.t_rx = one.about.t + int(rng.uniform(2.2, 4.8) * SECOND)


def _cut_off(story: Story) -> set[str]:
    """Orders whose wave has a cutoff that this site takes for a short of what is missing then."""
    if not story.policy.short_at_cutoff:
        return set()
    waves = [one.body for one in story.happenings if isinstance(one, f.Announced) and one.kind == "wave.released"]
    return {order for wave in waves for order in cast(list[str], wave["orders"])}


def _may_come_late(pick: f.Picked, ledger: Ledger, timed: set[str]) -> bool:
    """Not where a piece was put back, or the quantity changed: there the order of news would decide whether the task
    was ever complete, and no sum of pieces could say what is right. Nor where a deadline or a cutoff (`timed`) would
    be taken for a short meanwhile: the task stays closed then. Nor in a carton that is opened again: whether it was
    empty when it was closed first would depend on what was known."""
    task = pick.task
    closes = len(ledger.closes(task.carton))
    timed_out = task.deadline or task.line.order in timed
    return closes == 1 and not ledger.reversals(task) and not timed_out and not ledger.line_changed(task.line)


def _outages(story: Story, said: list[Said], count: int, rng: Random) -> list[Said]:
    """A station is cut off, and tells everything in order when it is back; only while it says nothing that would mean
    something else when it comes late."""
    ledger, timed = Ledger(story.happenings), _cut_off(story)
    links: list[Said] = []
    first, last = said[0].record["t"], said[-1].record["t"]
    for _ in range(0 if story.policy.short_on_close else count):
        for _attempt in range(50):
            src = f"{story.site}/pick/PTL-{rng.randrange(1, STATIONS + 1):02}"
            down = rng.randrange(first, last)
            up = down + int(rng.uniform(30, 120) * SECOND)
            cut = [one for one in said if one.record["src"] == src and down <= one.record["t"] <= up]
            picks = [one.about for one in cut if isinstance(one.about, f.Picked)]
            if picks and all(_is_plain(one, ledger, timed) for one in cut):
                for one in cut:
                    one.t_rx, one.hist = up + one.record["t"] - down, True
                links += [_link(src, "link.down", down), _link(src, "link.up", up)]
                break
    return links


def _is_plain(one: Said, ledger: Ledger, timed: set[str]) -> bool:
    if one.about is None:
        return True
    return isinstance(one.about, f.Picked) and not one.hist and _may_come_late(one.about, ledger, timed)


def _link(src: str, kind: str, t: int) -> Said:
    return Said({"src": src, "kind": kind, "t": t}, None, t)


def _skew(src: str, said: list[Said]) -> None:
    """Its clock is wrong by more than anybody believes; its messages come at once, so that arrival is the time."""
    for one in said:
        if one.record["src"] == src and not one.hist:
            one.t_rx = one.record["t"]
            one.record = one.record | {"t": one.record["t"] + _SKEW_US}


def _lose_chatter(said: list[Said], share: float, rng: Random) -> list[Said]:
    if not share:
        return said
    until = said[-1].record["t"] - _QUIET_US
    return [
        one for one in said if one.about or "seq" not in one.record or one.record["t"] > until or rng.random() >= share
    ]


def _delay_context(story: Story, said: list[Said], share: float, rng: Random) -> None:
    """Of some shipments the orders and tasks are told when the goods are already on their way. Not where anything of
    them changed: what the order system says comes in the order in which it decided it. And cancels are told when the
    floor hears of them."""
    for one in said:
        if isinstance(one.about, f.OrderCancelled):
            one.t_rx += one.about.known - one.about.t
    if not share:
        return
    ledger, delays_us = Ledger(story.happenings), dict[str, int]()
    times_decide = story.policy.short_on_close or story.policy.short_at_cutoff
    batched = {p.task.line.order for one in story.happenings if isinstance(one, f.Batched) for p in one.picks}
    for shipment in story.shipments:
        if times_decide and batched & {order.id for order in shipment.orders}:
            continue  # a press for several tasks waits for the last: the first may be taken for short by then
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
