"""Stories in which every group of rules meets every other: what `stories` tells, and besides it packing, pallets,
weights, labels, lost items, several codes, trailers, stock, a crane, returns, equipment and gaps.

Everything is physical: what is packed was picked, what is loaded exists, what is found was lost.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from hypothesis import strategies as st

from tests.stories import GRID_MS, LANES, MS, PACK, SCALE, SORTER, T0, WMS, Record, S, Story, Task, Teller, by_arrival

LABELLER = "dc1/pack/LAB-01"
DOCK = "dc1/dock/GUN-9"
CRANE = "dc1/asrs/CRN-1"
COUNTER = "dc1/pick/HH-1"
RETURNS = ("dc1/returns/RT-1", "dc1/returns/RT-2")
SEALER = "SEAL-1"


class WholeFloor(Teller):
    """`shares`: how often what happens, in percent, by the names of `SHARES`."""

    SHARES: ClassVar = {
        "packed": 20,  # cartons whose pieces are picked into a tote first
        "weights": 30,
        "labels": 40,
        "lost": 15,
        "pallet": 20,
        "multiread": 25,
        "trailer": 40,
        "sealed": 25,  # cartons that nobody closes, a read point says so
        "stock": 50,
        "returns": 40,
        "crane": 30,
        "equipment": 30,
    }

    def __init__(self, draw: random.Random, lively: bool = True, **shares: int) -> None:
        super().__init__(draw, lively)
        self.shares = {**self.SHARES, **shares}
        self.rules = {
            "short_on_close": self.chance(10),
            "short_at_cutoff": self.chance(50),
            "closing_points": [SEALER],
            "partial_load": self.draw.choice(["hold", "emit"]),
        }
        self.tote: tuple[str, str] | None = None  # what is picked for a unit goes into another first
        self.units: list[str] = []
        self.revs: dict[str, int] = {}

    def often(self, name: str) -> bool:
        return self.chance(self.shares[name])

    def rev(self, thing: str) -> int:
        self.revs[thing] = self.revs.get(thing, 0) + 1
        return self.revs[thing]

    # -- what changes the way in which a carton is told

    def tell(self, t_ms: int, src: str, kind: str, **fields: Any) -> None:
        if kind == "carton.plan" and self.often("weights"):
            fields |= {"weight_g": 500, "tol_g": self.draw.choice([100, 300])}
        if kind == "carton.close":
            if self.tote is not None and self.tote[1] == fields["lu"]:
                super().tell(t_ms - 2 * GRID_MS, PACK, "pack.confirm", from_lu=self.tote[0], lu=fields["lu"])
                self.tote = None
            if "carton" not in fields and self.often("sealed"):
                super().tell(t_ms, SORTER, "scan.read", lu=fields["lu"], point=SEALER)
                return
        if kind == "scan.read" and "track" in fields and self.often("multiread"):
            lu = fields.pop("lu")
            kind, fields["codes"] = "scan.multiread", self.draw.sample([lu, "JUNK"], 2)
        super().tell(t_ms, src, kind, **fields)

    def press(self, task: Task, lu: str, t: int, qty: int = 1, kind: str = "pick.confirm", **more: Any) -> None:
        if self.tote is not None and self.tote[1] == lu:
            lu = self.tote[0]
        super().press(task, lu, t, qty, kind, **more)

    def carton(
        self, n: int, number: int, shipment: str, share: list[Task], scope: list[Record], t: int, stage: bool
    ) -> int:
        lu, carton = f"TOTE-{n}{number}", f"C-{n}{number}"
        self.units.append(lu)
        if self.often("packed"):
            self.tote = f"PICK-{n}{number}", lu
        before = len(self.told)
        end = super().carton(n, number, shipment, share, scope, t, stage)
        self.tote = None
        closes = [one.t for one in self.told[before:] if one.fields["kind"] in ("carton.close", "scan.read")]
        if not closes or any(one.fields["kind"] == "lu.release" for one in self.told[before:]):
            return end
        closed = (min(closes) - T0) // MS
        if self.often("labels"):
            end = max(end, self.label(lu, carton, closed))
        if self.often("weights"):
            end += self.step()
            self.tell(end, SCALE, "weigh", lu=lu, weight_g=self.draw.choice([500, 550, 900]))
        if self.often("lost"):
            end = self.lose(lu, end)
        return end

    def label(self, lu: str, carton: str, t: int) -> int:
        for result in self.draw.choice([["OK"], ["NOREAD", "OK"], ["MISMATCH"], ["NOREAD"], ["MISMATCH", "OK"]]):
            t += self.step(10_000)
            fields: Record = {"lu": lu, "result": result}
            if result == "OK":
                number = len(self.told)
                fields |= {"sscc": f"0034{number}"} if self.chance(70) else {}
                fields |= {"tracking_no": f"1Z-{number}"} if self.chance(50) else {}
            self.tell(t, LABELLER, "label.verified", **fields)
        if self.chance(30):
            t += self.step(10_000)
            self.wms(t, "hold.released", rev=self.rev(f"hold {carton}"), carton=carton)
        return t

    def lose(self, lu: str, t: int) -> int:
        t += self.step()
        self.tell(t, SORTER, "item.lost", lu=lu)
        if self.chance(70):
            t += self.step(20_000)
            kind, src = self.draw.choice([("item.stray", SORTER), ("scan.read", DOCK), ("scan.read", SORTER)])
            self.tell(t, src, kind, lu=lu)
        if self.chance(50):
            t += self.step()
            self.tell(t, SORTER, "divert.confirmed", lu=lu, dest=self.draw.choice(LANES))
        return t

    # -- a shipment, and how it leaves

    def shipment(self, n: int, t: int) -> int:
        self.units = []
        before = len(self.told)
        end = super().shipment(n, t)
        told = self.told[before:]
        gone = {one.fields["kind"] for one in told} & {"manifest.result", "shipment.cancelled"}
        reused = {one.fields["lu"] for one in told if one.fields["kind"] == "lu.release"}
        filled = {lu for one in told for lu in _filled(one.fields)}
        units = [lu for lu in self.units if lu in filled - reused]
        if gone or not units:
            return end
        if self.often("pallet"):
            end = self.palletise(f"PAL-{n}", units, end)
        if self.often("trailer"):
            end = self.load(n, units, end)
        return end

    def palletise(self, pallet: str, units: list[str], t: int) -> int:
        moments = [t + self.step() for _ in units]
        for lu, at in zip(units, moments, strict=True):
            if self.chance(80):
                self.wms(at, "lu.bind", rev=self.rev(f"bind {lu}"), lu=lu, parent=pallet)
        t = max(moments) if self.chance(70) else t
        t += self.step()
        self.tell(t, DOCK, "item.arrived", lu=pallet, loc=self.draw.choice([*LANES, "PARK"]))
        if self.chance(20):
            t += self.step()
            self.wms(t, "lu.bind", rev=self.rev(f"bind {units[0]}"), lu=units[0], parent=f"{pallet}-2")
        return max(t, *moments)

    def load(self, n: int, units: list[str], t: int) -> int:
        """Into one trailer or two; perhaps not all, perhaps one is taken out again."""
        trailers = [f"TR-{n}"] * 3 + [f"TR-{n}-2"]
        t += 30_000 + self.step(20_000)
        used = set()
        for lu in units:
            t += self.step()
            if self.chance(85):
                trailer = self.draw.choice(trailers)
                used.add(trailer)
                self.tell(t, DOCK, "load.scanned", lu=lu, trailer=trailer)
                if self.chance(10):
                    t += self.step()
                    self.tell(t, DOCK, "load.removed", lu=lu, trailer=trailer)
        for trailer in sorted(used):
            if self.chance(90):
                t += self.step()
                seal = {"seal": f"SEAL-{trailer}"} if self.chance(50) else {}
                self.tell(t, DOCK, "trailer.closed", trailer=trailer, **seal)
        if self.chance(40):
            t += self.step(20_000)
            self.wms(t, "manifest.result", shipment=f"S-{n}", manifest_no=f"M-{n}", tracking=[])
        return t

    # -- what goes on beside it

    def beside(self, t_end: int) -> None:
        for name, happen in (
            ("stock", self.stock),
            ("returns", self.returns),
            ("crane", self.crane),
            ("equipment", self.equipment),
        ):
            if self.often(name):
                for _ in range(self.draw.randint(1, 6)):
                    happen(self.draw.randint(0, t_end // GRID_MS) * GRID_MS)

    def stock(self, t: int) -> None:
        place = {"loc": self.draw.choice(["L-1", "B-1"]), "sku": self.draw.choice("AB")}
        if self.chance(50):
            as_of = max(0, t - self.draw.choice([0, 0, 5_000, 40_000]))
            rev = {"rev": 1 + t, "as_of": T0 + as_of * MS}  # later ones are higher
            self.tell(t, WMS, "stock.expectation", **place, qty=self.draw.randint(0, 9), **rev)
        else:
            self.tell(t, COUNTER, "count.reported", **place, qty=self.draw.randint(0, 9))

    def returns(self, t: int) -> None:
        rma = self.draw.choice([{}, {"rma": "R-1"}, {"rma": "R-2"}])
        what: Record = {"sku": self.draw.choice("AB"), "qty": 1, **rma}
        serial = {"serial": f"SN-{self.draw.randint(1, 3)}"} if self.chance(40) else {}
        self.tell(t, self.draw.choice(RETURNS), "return.scanned", **what, **serial)
        if rma and self.chance(50):
            lines = [{"sku": what["sku"], "qty": self.draw.randint(1, 3)}]
            self.tell(t, WMS, "rma.authorised", rma=rma["rma"], rev=1 + t, lines=lines)
        if rma and self.chance(40):
            self.tell(t + 1_000, RETURNS[0], "return.graded", **what, grade="A", disposition="RESTOCK")

    def crane(self, t: int) -> None:
        code = self.draw.choice(["SOURCE_EMPTY", "DEST_OCCUPIED", "LU_MISMATCH", "PICKUP"])
        lu = {} if code == "SOURCE_EMPTY" and self.chance(50) else {"lu": f"BIN-{self.draw.randint(1, 2)}"}
        self.tell(t, CRANE, "asrs.exception", code=code, loc=self.draw.choice(["L-1", "B-1"]), **lu)

    def equipment(self, t: int) -> None:
        kind, src = self.draw.choice([("jam", SORTER), ("fault", CRANE), ("estop", PACK), ("lane.full", SORTER)])
        dest = {"dest": LANES[0]} if kind == "lane.full" else {}
        self.tell(t, src, kind, state="set", **dest)
        if self.chance(70):
            self.tell(t + self.step(), src, kind, state="clear", **dest)


def _filled(fields: Record) -> list[str]:
    """The units into which something was put."""
    if fields["kind"] in ("pick.confirm", "pack.confirm"):
        return [part["lu"] for part in fields.get("alloc", [fields])]
    return []


def blind(records: list[Record], draw: random.Random, percent: int = 30) -> list[Record]:
    """Some numbered noise is never heard; some noise and some picks come late, as a backlog, so that until then their
    numbers are missing."""
    heard = []
    for record in records:
        noise = record["kind"] in ("telemetry", "photo_eye")
        named = record["kind"] == "pick.confirm" and "task" in record  # else it would be another task's when it comes
        chance = percent if noise else 8 if named else 0
        if "seq" in record and draw.randint(1, 100) <= chance:
            if noise and draw.randint(1, 100) <= 40:
                continue
            heard.append(record | {"hist": True, "t_rx": record["t_rx"] + draw.randint(3, 40) * S})
        else:
            heard.append(record)
    return by_arrival(heard)


def whole_story(draw: random.Random, shipments: int = 1, noise_percent: int = 10, **shares: int) -> Story:
    """One story of everything. Any random.Random will do, hypothesis' own too."""
    return story_of(WholeFloor(draw, lively=True, **shares), shipments, noise_percent)


def story_of(teller: WholeFloor, shipments: int, noise_percent: int) -> Story:
    """What it tells of so many shipments, one beginning after the other."""
    t, ends = 0, []
    for n in range(1, shipments + 1):
        ends.append(teller.shipment(n, t))
        t += teller.step(6_000)
    teller.beside(max(ends))
    teller.noise(noise_percent)
    return Story(teller.arrive(), teller.rules)


def whole_stories(shipments_max: int = 2, noise_percent: int = 10, **shares: int) -> st.SearchStrategy[Story]:
    """Small stories; `shares` as in `WholeFloor`."""
    return st.builds(
        lambda draw, shipments: whole_story(draw, shipments, noise_percent, **shares),
        st.randoms(use_true_random=False),
        st.integers(1, shipments_max),
    )
