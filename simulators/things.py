"""The things of the simulated warehouse: what customers want, what it is packed into, and what it travels on.

Times are microseconds since 1970 UTC, quantities pieces, weights grams.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SECOND = 1_000_000
STORY_EPOCH = 1_795_420_800 * SECOND
"""2026-11-23T08:00:00Z: where every story told to a file begins."""

TOLERANCE_G = 30
"""How far the scale may differ from a carton's plan, where that says a weight."""


class Sku(NamedTuple):
    name: str
    weight_g: int
    lot_tracked: bool
    zone: int  # the pick station that has it


@dataclass(eq=False, slots=True)
class Line:
    order: str
    number: int
    sku: Sku
    qty: int
    over_tol_pct: int = 0
    short_policy: str = "SHIP_PARTIAL"
    tasks: list[Task] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Task:
    """Work for one picker. `id` is None where the order system plans a line without tasks: picks then name the line."""

    id: str | None
    line: Line
    qty: int
    station: int
    loc: str
    carton: Carton
    names_lu: bool = True  # the order system told which load unit it goes into
    line_only: bool = False  # its station knows the order line, and not the task
    deadline: int = 0  # when the order system stops waiting for it; 0: never

    @property
    def key(self) -> str:
        return self.id or f"{self.line.order}/{self.line.number}"


@dataclass(eq=False, slots=True)
class Carton:
    """A box or a tote in one of its uses. `id` is None where nobody planned it: it is then known by `lu#cycle`."""

    shipment: Shipment
    id: str | None = None
    lu: str = ""
    cycle: int = 0
    tasks: list[Task] = field(default_factory=list)
    sscc: str = ""
    tracking_no: str = ""
    planned_g: int | None = None  # the weight in its plan

    @property
    def key(self) -> str:
        return self.id or f"{self.lu}#{self.cycle}"


@dataclass(eq=False, slots=True)
class Order:
    id: str
    lines: list[Line]


@dataclass(eq=False, slots=True)
class Shipment:
    id: str
    orders: list[Order]
    lanes: list[str]
    stage_required: bool
    carrier: str
    cartons: list[Carton] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        return [line for order in self.orders for line in order.lines]


@dataclass(eq=False, slots=True)
class Ride:
    """One journey of a carton over the sorter. The machine's number for it comes again when the numbers run out."""

    carton: Carton
    track: int = 0
