"""The dock: cartons go into trailers, alone or on a pallet, and trailers leave."""

from __future__ import annotations

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Carton, Shipment


def load(diary: Diary, shipment: Shipment, cartons: tuple[Carton, ...], t: int) -> int:
    """All of a shipment into one trailer, or all but one; returns when the trailer left."""
    trailer = f"TR-{shipment.id[2:]}"
    door = f"DOOR-{diary.rng.randrange(1, 9)}"
    left = diary.rng.choice(cartons) if len(cartons) > 1 and diary.chance(0.25) else None
    pallet = f"PLT-{shipment.id[2:]}" if left is None and diary.chance(0.4) else ""
    if pallet:
        for carton in cartons:
            t = diary.after(t, (4.0, 9.0))
            diary.add(f.Palletised(t, carton, pallet))
        t = diary.after(t, (6.0, 12.0))
        diary.add(f.Loaded(t, shipment, cartons, pallet, trailer, door))
    else:
        for carton in cartons:
            t = _load_one(diary, shipment, carton, trailer, door, t, carton is left)
    t = diary.after(t, (10.0, 20.0))
    left_behind = () if left is None else (left,)
    diary.add(f.TrailerLeft(t, shipment, cartons, left_behind, trailer, f"SEAL-{shipment.id[2:]}", door))
    return t


def _load_one(diary: Diary, shipment: Shipment, carton: Carton, trailer: str, door: str, t: int, stays: bool) -> int:
    """A carton that stays is never scanned, or is taken out again. Others are taken out only where nobody asks for
    their place: a shipment is not told to be ready once more just before the trailer leaves."""
    if stays and diary.chance(0.5):
        return t
    t = diary.after(t, (4.0, 9.0))
    diary.add(f.Loaded(t, shipment, (carton,), carton.lu, trailer, door))
    if stays or (not shipment.stage_required and diary.chance(0.2)):
        t = diary.after(t, (10.0, 20.0))
        diary.add(f.Unloaded(t, carton, trailer, door))
        if not stays:
            t = diary.after(t, (10.0, 20.0))
            diary.add(f.Loaded(t, shipment, (carton,), carton.lu, trailer, door))
    return t
