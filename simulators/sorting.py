"""Conveyor and sorter: how a carton gets to its lane."""

from __future__ import annotations

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Carton
from simulators.ledger import Ledger
from simulators.orders import LANES

_CONVEYOR_SCANNERS = 3


def sort(diary: Diary, carton: Carton, t: int) -> int:
    """Over the conveyor to a lane; returns when it lay where it stays."""
    scanner = diary.rng.randrange(1, _CONVEYOR_SCANNERS + 1)
    diary.add(f.Passed(t, carton, scanner, not diary.chance(diary.habits.noread)))
    lane = diary.rng.choice(carton.shipment.lanes or LANES)
    wrong = diary.chance(diary.habits.wrong_lane)
    if diary.chance(diary.habits.lost):
        return lose(diary, carton, diary.after(t, (2.0, 5.0)))
    t = _ride(diary, carton, diary.after(t, (2.0, 5.0)), lane, _neighbour(lane) if wrong else lane)
    if wrong and diary.chance(diary.habits.wrong_lane_fixed):
        t = _ride(diary, carton, diary.after(t, diary.pace.loop_s), lane, lane)
    return t


def lose(diary: Diary, carton: Carton, t: int) -> int:
    """It is not where it should be; mostly it turns up, and is sorted once more. Returns when that was over."""
    weighed = [weighing.t for weighing in Ledger(diary.log).weighings(carton)]
    t = diary.after(max([t, *weighed]), (1.0, 2.0))  # who is on the scale is not lost
    ride = f.Ride(carton)
    diary.add(f.Inducted(t, ride, True))
    t = diary.after(t, (4.0, 8.0))
    diary.add(f.Lost(t, ride))
    if diary.chance(0.3):
        return t
    t = diary.after(t, (20.0, 40.0))
    diary.add(f.Found(t, carton))
    lane = diary.rng.choice(carton.shipment.lanes or LANES)
    return _ride(diary, carton, diary.after(t, (10.0, 20.0)), lane, lane)


def _ride(diary: Diary, carton: Carton, t: int, wanted: str, dest: str) -> int:
    ride = f.Ride(carton)
    known = diary.chance(diary.habits.known_at_induct)
    unread = not known and diary.chance(diary.habits.noread)
    diary.add(f.Inducted(t, ride, known))
    t = diary.after(t, (1.0, 2.0))
    if not unread and diary.chance(diary.habits.multiread):
        diary.add(f.ReadSeveral(t, ride, f"XX-{carton.sscc[-6:]}"))
    else:
        diary.add(f.NotRead(t, ride) if unread else f.Read(t, ride))
    rounds = 2 if unread else 0
    while diary.chance(diary.habits.loops) and rounds < 3:
        rounds += 1
    for _ in range(rounds):
        t = diary.after(t, diary.pace.loop_s)
        diary.add(f.Looped(t, ride))
    diverted = diary.after(t, diary.pace.sorter_s)
    diary.add(f.Diverted(diverted, ride, dest, wanted))
    if unread:
        # Somebody types the number in, while it still goes round or when it already lies in its lane.
        named = diary.after(diverted, (5.0, 20.0)) if diary.chance(0.5) else diary.after(t, (1.0, 4.0))
        diary.add(f.Identified(named, ride))
        return max(diverted, named)
    return diverted


def _neighbour(lane: str) -> str:
    return LANES[(LANES.index(lane) + 1) % len(LANES)]
