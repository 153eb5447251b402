"""What can happen in the simulated warehouse.

Everything here is physics and paperwork, not messages: `Picked` means that pieces lie in the carton now, whatever any
device says about it later, twice, or too late. `truth.py` judges these happenings, `canonical.py` tells them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from simulators.settings import Policy
from simulators.things import SECOND as SECOND
from simulators.things import STORY_EPOCH as STORY_EPOCH
from simulators.things import TOLERANCE_G as TOLERANCE_G
from simulators.things import Carton as Carton
from simulators.things import Line as Line
from simulators.things import Order as Order
from simulators.things import Ride as Ride
from simulators.things import Shipment as Shipment
from simulators.things import Sku as Sku
from simulators.things import Task as Task


class Announced(NamedTuple):
    """The order system decided something and says so. `body`: the context record's own fields."""

    t: int
    kind: str
    body: Mapping[str, object]
    about: Line | Task | None = None


class LineChanged(NamedTuple):
    """The customer wants more of a line, or less."""

    t: int
    line: Line
    qty: int


class TaskChanged(NamedTuple):
    """So much is to be picked by this task now."""

    t: int
    task: Task
    qty: int


class OrderCancelled(NamedTuple):
    """Nobody wants these lines from `t` on; the floor hears of it when it is `known`."""

    t: int
    known: int
    order: Order
    lines: tuple[Line, ...]


class TaskCancelled(NamedTuple):
    """The order system takes a task back; the floor hears of it when it is `known`."""

    t: int
    known: int
    task: Task


class NotAllocated(NamedTuple):
    """There is not enough stock to plan so many pieces of a line; a later word replaces the earlier one."""

    t: int
    line: Line
    qty: int
    rev: int


class Expired(NamedTuple):
    """A task was given up unfinished without anybody's word: its deadline passed (`DEADLINE`), or its carton was closed
    where the site takes that for a short (`CLOSE`). No device tells this."""

    t: int
    task: Task
    decided_by: str


class Planned(NamedTuple):
    """A shipment's plan came into force, in this revision. `scope`: what it carries of each line."""

    t: int
    shipment: Shipment
    rev: int
    scope: tuple[tuple[Line, int], ...]


class Unplanned(NamedTuple):
    """The order system no longer wants anything in this carton."""

    t: int
    carton: Carton


class Bound(NamedTuple):
    """A load unit was given its purpose."""

    t: int
    carton: Carton


class Released(NamedTuple):
    """A load unit went back to the pool."""

    t: int
    carton: Carton


class WavedThrough(NamedTuple):
    """Somebody looked at the carton and decided that it may leave as it is."""

    t: int
    carton: Carton


class Voided(NamedTuple):
    t: int
    carton: Carton


class Rebound(NamedTuple):
    """Its load unit was given to another carton."""

    t: int
    carton: Carton
    other: str


class ShipmentCancelled(NamedTuple):
    t: int
    shipment: Shipment


class CancelledTooLate(NamedTuple):
    """Somebody cancels an order that is already on the road: nobody can do anything about it."""

    t: int
    order: Order


class Picked(NamedTuple):
    t: int
    task: Task
    qty: int
    lot: str
    says_lu: bool  # whether the station reports where it went
    sku: Sku | None = None  # what it really was, where that is not what the task asked for
    press: str = ""  # the station's name for this press, where it has one
    witness: int = 0  # number of a second device that tells the same press


class Batched(NamedTuple):
    """One press, pieces for several tasks (put-to-light)."""

    t: int
    picks: tuple[Picked, ...]


class PutBack(NamedTuple):
    t: int
    task: Task
    qty: int
    lot: str
    sku: Sku | None = None  # as in Picked


class Shorted(NamedTuple):
    t: int
    task: Task
    code: str


class Opened(NamedTuple):
    t: int
    carton: Carton


class Closed(NamedTuple):
    t: int
    carton: Carton


class Reopened(NamedTuple):
    t: int
    carton: Carton


class Weighed(NamedTuple):
    t: int
    carton: Carton
    weight_g: int


class Labelled(NamedTuple):
    t: int
    carton: Carton
    result: str  # OK, NOREAD


class Passed(NamedTuple):
    """A carton went by a conveyor scanner, which read it or did not."""

    t: int
    carton: Carton
    scanner: int
    read: bool


class Inducted(NamedTuple):
    t: int
    ride: Ride
    says_lu: bool


class Read(NamedTuple):
    t: int
    ride: Ride


class NotRead(NamedTuple):
    t: int
    ride: Ride


class Identified(NamedTuple):
    """Somebody looked at the item and told the sorter what it is."""

    t: int
    ride: Ride


class ReadSeveral(NamedTuple):
    """The scanner saw the item's code, and another that means nothing here."""

    t: int
    ride: Ride
    other: str


class Lost(NamedTuple):
    """The sorter does not know where the item is."""

    t: int
    ride: Ride


class Found(NamedTuple):
    t: int
    carton: Carton


class Looped(NamedTuple):
    t: int
    ride: Ride


class Diverted(NamedTuple):
    t: int
    ride: Ride
    dest: str
    dest_req: str


class Stored(NamedTuple):
    t: int
    pallet: str
    loc: str


class Retrieved(NamedTuple):
    t: int
    pallet: str
    loc: str


class Palletised(NamedTuple):
    t: int
    carton: Carton
    pallet: str


class Loaded(NamedTuple):
    """One thing was scanned into a trailer: a carton, or the pallet on which these stand."""

    t: int
    shipment: Shipment
    cartons: tuple[Carton, ...]
    lu: str
    trailer: str
    door: str


class Unloaded(NamedTuple):
    t: int
    carton: Carton
    trailer: str
    door: str


class TrailerLeft(NamedTuple):
    t: int
    shipment: Shipment
    cartons: tuple[Carton, ...]
    left_behind: tuple[Carton, ...]
    trailer: str
    seal: str
    door: str


class Counted(NamedTuple):
    """Somebody counted what lies at a place."""

    t: int
    loc: str
    sku: Sku
    qty: int
    station: int


class CraneStopped(NamedTuple):
    """The crane found a place empty that should not be (`SOURCE_EMPTY`), or taken (`DEST_OCCUPIED`). `sku`: what it was
    to fetch, where it did not know the pallet."""

    t: int
    code: str
    loc: str
    pallet: str
    sku: Sku | None


class Returned(NamedTuple):
    """Pieces came back; without papers `rma` is None."""

    t: int
    rma: str | None
    sku: Sku
    qty: int
    serial: str


class Graded(NamedTuple):
    t: int
    rma: str
    sku: Sku
    qty: int
    grade: str
    disposition: str


class Manifested(NamedTuple):
    """The carrier took the shipment over: these cartons."""

    t: int
    shipment: Shipment
    manifest_no: str
    cartons: tuple[Carton, ...]
    rev: int = 1


Happening = (
    Announced
    | LineChanged
    | TaskChanged
    | OrderCancelled
    | TaskCancelled
    | NotAllocated
    | Expired
    | Planned
    | Unplanned
    | Bound
    | Released
    | WavedThrough
    | Voided
    | Rebound
    | ShipmentCancelled
    | CancelledTooLate
    | Picked
    | Batched
    | PutBack
    | Shorted
    | Opened
    | Closed
    | Reopened
    | Weighed
    | Labelled
    | Passed
    | Inducted
    | Read
    | NotRead
    | Identified
    | ReadSeveral
    | Lost
    | Found
    | Looped
    | Diverted
    | Stored
    | Retrieved
    | Palletised
    | Loaded
    | Unloaded
    | TrailerLeft
    | Counted
    | CraneStopped
    | Returned
    | Graded
    | Manifested
)
Named = PutBack | Returned
"""Happenings by whose name (`dev_id`) an event is known."""


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, in order of time, and the objects that it happened to."""

    site: str
    shipments: list[Shipment]
    happenings: list[Happening]
    policy: Policy = field(default_factory=Policy)
