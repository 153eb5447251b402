"""The returns desk: what customers send back, with papers and without."""

from __future__ import annotations

from collections.abc import Iterator

from simulators import floor as f
from simulators.diary import Diary
from simulators.floor import Happening

_GRADES = (("A", "RESTOCK"), ("B", "QUARANTINE"), ("C", "SCRAP"), ("B", "VENDOR"))


def returns(diary: Diary, count: int, first: int, t: int) -> Iterator[Happening]:
    """`count` parcels, one after the other; numbered from `first`."""
    for number in range(first, first + count):
        t = diary.after(t, (10.0, 60.0))
        if diary.chance(0.2):
            yield f.Returned(t, None, diary.book.any_sku(), diary.rng.randrange(1, 4), "")
        else:
            yield from _parcel(diary, f"RMA-{number}", t)


def _parcel(diary: Diary, rma: str, t: int) -> Iterator[Happening]:
    rng = diary.rng
    announced = {diary.book.any_sku(): rng.randrange(1, 5) for _ in range(rng.choice((1, 1, 2)))}
    lines = [{"sku": sku.name, "qty": qty} for sku, qty in announced.items()]
    yield f.Announced(t, "rma.authorised", {"rma": rma, "rev": 1, "lines": lines})
    t = diary.after(t, (5.0, 20.0))
    for sku, qty in announced.items():
        sent = max(1, qty + rng.choice((-1, 0, 0, 0, 1)))
        serials = [f"SN-{rma[4:]}-{sku.name[4:]}-{piece}" for piece in range(sent)] if rng.random() < 0.4 else [""]
        for serial in serials:
            t = diary.after(t, (3.0, 8.0))
            yield f.Returned(t, rma, sku, 1 if serial else sent, serial)
        if serials[0] and diary.chance(0.3):
            t = diary.after(t, (3.0, 8.0))
            yield f.Returned(t, rma, sku, 1, serials[0])  # the same piece under the scanner again
        while sent:
            part = rng.randrange(1, sent + 1)
            t = diary.after(t, (10.0, 30.0))
            yield f.Graded(t, rma, sku, part, *rng.choice(_GRADES))
            sent -= part
