"""The canonical model: which kinds of record there are, what they carry, and which business events leave the engine.

One table a thing; the decoder, the JSON Schema, `check` and the docs are all made from these tables. A record is one
fact at one moment; a business event is what the ERP receives.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Type(Enum):
    """What a field's value may be. Quantities are in the SKU's base unit, weights in grams, lengths in millimetres."""

    TEXT = "text"  # 1..4096 bytes of UTF-8
    INT = "int"  # 0 <= n < 2**63
    BOOL = "bool"
    TEXTS = "texts"  # a list of texts
    NESTED = "nested"  # a list of objects or numbers: read by the rule that needs it, on the slow path
    ANY = "any"  # anything but null: passed through


class Group(Enum):
    NOISE = "noise"  # metrics only, never forwarded
    SOURCE = "source"  # speaks of the source itself
    DEVICE = "device"  # a fact that a machine reported
    CONTEXT = "context"  # what the order systems told us


class Kind(NamedTuple):
    """`required`: alternatives, each a set of fields; a record of the kind has all fields of at least one of them."""

    group: Group
    required: tuple[frozenset[str], ...] = (frozenset(),)


def _needs(*alternatives: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(names.split()) for names in alternatives)


def _device(*alternatives: str) -> Kind:
    return Kind(Group.DEVICE, _needs(*(alternatives or ("",))))


def _context(*alternatives: str) -> Kind:
    return Kind(Group.CONTEXT, _needs(*alternatives))


NOISE = Kind(Group.NOISE)
ON_ITEM = ("track", "lu")  # a fact about an item: by the machine's number or by its barcode

KINDS: dict[str, Kind] = {
    "photo_eye": NOISE,
    "motor.state": NOISE,
    "zone.state": NOISE,
    "machine.state": NOISE,
    "telemetry": NOISE,
    "clock.tick": Kind(Group.SOURCE),
    "link.up": Kind(Group.SOURCE),
    "link.down": Kind(Group.SOURCE),
    "source.gap": Kind(Group.SOURCE, _needs("t_from t_to")),
    "scan.read": _device("lu"),
    "scan.noread": _device("track"),
    "scan.multiread": _device("codes"),
    "ident.assigned": _device("track lu"),
    "item.inducted": _device("track"),
    "route.assigned": _device("track dest", "lu dest"),
    "divert.confirmed": _device("track dest", "lu dest"),
    "divert.failed": _device("track dest_req code", "lu dest_req code"),
    "item.recirculated": _device(*ON_ITEM),
    "item.lost": _device(*ON_ITEM),
    "item.stray": _device(*ON_ITEM),
    "item.arrived": _device("lu loc"),
    "weigh": _device("track weight_g", "lu weight_g"),
    "lane.full": _device("state"),
    "jam": _device("state"),
    "fault": _device("state"),
    "estop": _device("state"),
    "store.confirmed": _device("lu loc"),
    "retrieve.confirmed": _device("lu loc"),
    "asrs.exception": _device("code"),
    "pick.confirm": _device("task sku qty", "order line sku qty", "sku alloc"),
    "pick.short": _device("task code", "order line code"),
    "pick.reverse": _device("task sku qty", "order line sku qty", "sku alloc"),
    "count.reported": _device("loc sku qty"),
    "pack.confirm": _device("from_lu lu"),
    "carton.open": _device("lu"),
    "carton.close": _device("lu"),
    "carton.reopen": _device("lu"),
    "carton.void": _device("lu"),
    "label.verified": _device("lu result"),
    "load.scanned": _device("lu trailer"),
    "load.removed": _device("lu trailer"),
    "trailer.closed": _device("trailer"),
    "return.scanned": _device("sku qty", "lu qty"),
    "return.graded": _device("sku qty grade disposition", "lu qty grade disposition"),
    "order.released": _context("order rev lines"),
    "order.changed": _context("order rev lines"),
    "order.cancelled": _context("order rev"),
    "wave.released": _context("wave rev orders"),
    "pick.task": _context("task rev order line sku qty"),
    "pick.task_cancelled": _context("task rev"),
    "alloc.failed": _context("order line rev qty code"),
    "carton.plan": _context("carton rev"),
    "shipment.plan": _context("shipment rev scope"),
    "shipment.cancelled": _context("shipment rev"),
    "lu.bind": _context("lu rev"),
    "lu.release": _context("lu rev"),
    "hold.released": _context("carton rev"),
    "rma.authorised": _context("rma rev lines"),
    "stock.expectation": _context("loc sku rev qty as_of"),
    "manifest.result": _context("shipment rev manifest_no"),
}

ENVELOPE: dict[str, Type] = {
    "src": Type.TEXT,  # 1..128 bytes, site/area/device
    "epoch": Type.INT,
    "seq": Type.INT,
    "sub": Type.INT,
    "kind": Type.TEXT,
    "t": Type.INT,
    "t_rx": Type.INT,
    "hist": Type.BOOL,
}

# fmt: off
_TEXTS = [
    "lu", "carton", "track", "task", "order", "sku", "lot", "loc", "dest", "dest_req", "code", "state", "operator",
    "point", "press", "count", "from_lu", "result", "sscc", "tracking_no", "trailer", "door", "seal", "rma",
    "serial", "grade", "disposition", "scope", "wave", "shipment", "parent", "carrier", "manifest_no", "freight",
    "short_policy",
]
_INTS = [
    "line", "qty", "weight_g", "length_mm", "width_mm", "height_mm", "t_from", "t_to", "from_seq", "to_seq", "rev",
    "ship_by", "cutoff", "deadline", "as_of", "tol_g", "over_tol_pct",
]
# fmt: on

FIELDS: dict[str, Type] = {
    **dict.fromkeys(_TEXTS, Type.TEXT),
    **dict.fromkeys(_INTS, Type.INT),
    "stage_required": Type.BOOL,
    "codes": Type.TEXTS,
    "lanes": Type.TEXTS,
    "orders": Type.TEXTS,
    "lines": Type.NESTED,
    "alloc": Type.NESTED,
    "contents": Type.NESTED,
    "tracking": Type.NESTED,
}
"""Known payload fields. Three names mean another thing in one kind: see `field_type`."""

_EXCEPTIONS: dict[tuple[str, str], Type] = {
    ("source.gap", "count"): Type.INT,  # how many records are missing; elsewhere the id of a count
    ("shipment.plan", "scope"): Type.NESTED,  # what the shipment holds; in link.* a prefix of src
    ("manifest.result", "freight"): Type.ANY,  # passed through as the TMS sent it
}

ELEMENTS: dict[tuple[str, str], tuple[frozenset[str], ...]] = {
    ("pick.confirm", "alloc"): _needs("task qty", "order line qty"),
    ("pick.reverse", "alloc"): _needs("task qty", "order line qty"),
    ("order.released", "lines"): _needs("line sku qty"),
    ("order.changed", "lines"): _needs("line sku qty"),
    ("order.cancelled", "lines"): (),
    ("carton.plan", "contents"): _needs("order line qty"),
    ("shipment.plan", "scope"): _needs("order line qty"),
    ("rma.authorised", "lines"): _needs("sku qty"),
    ("manifest.result", "tracking"): _needs("carton tracking_no"),
}
"""What each object of a nested list has: alternatives, as in `Kind.required`; none: a list of line numbers."""

VALUES: dict[tuple[str, str], tuple[str, ...]] = {
    **{(kind, "state"): ("set", "clear") for kind in ("lane.full", "jam", "fault", "estop")},
    ("pick.short", "code"): ("EMPTY", "INSUFFICIENT", "DAMAGED", "NOT_FOUND", "OPERATOR"),
    ("label.verified", "result"): ("OK", "NOREAD", "MISMATCH"),
    ("return.graded", "disposition"): ("RESTOCK", "QUARANTINE", "SCRAP", "VENDOR"),
}
"""All that some texts of a kind may be. A crane's `code` is not among them: one that nobody knows is a fault, too."""

ELEMENT_VALUES: dict[str, tuple[str, ...]] = {"short_policy": ("SHIP_PARTIAL", "HOLD", "CANCEL_LINE", "BACKORDER")}
"""The same of an object in a nested list."""

SRC_BYTES_MAX = 128
TEXT_BYTES_MAX = 4096


def field_type(kind: str, field: str) -> Type | None:
    """The type of a payload field in a kind; None for a field that the model does not know (kept, not checked)."""
    return _EXCEPTIONS.get((kind, field)) or FIELDS.get(field)


class Business(NamedTuple):
    """A type of business event. `queue`: the default route's stream."""

    code: str
    queue: str


BUSINESS: dict[str, Business] = {
    "pick.confirmed": Business("pc", "erp.inventory"),
    "pick.short": Business("ps", "erp.inventory"),
    "pick.reversed": Business("pr", "erp.inventory"),
    "carton.closed": Business("cc", "erp.shipping"),
    "carton.reopened": Business("co", "erp.shipping"),
    "carton.voided": Business("cv", "erp.shipping"),
    "shipment.ready": Business("sr", "erp.shipping"),
    "shipment.unready": Business("su", "erp.shipping"),
    "shipment.manifested": Business("sm", "erp.shipping"),
    "shipment.voided": Business("sv", "erp.shipping"),
    "inventory.discrepancy": Business("id", "erp.inventory"),
    "return.received": Business("rr", "erp.inventory"),
    "return.dispositioned": Business("rd", "erp.inventory"),
    "exception.raised": Business("xr", "ops.exceptions"),
    "exception.cleared": Business("xc", "ops.exceptions"),
}
"""Bare type -> its id code and the queue that it goes to unless the site file routes it elsewhere."""

QUEUE_PRIORITY: dict[str, int] = {"erp.shipping": 0, "erp.inventory": 1}
PRIORITY_LAST = 2
"""A truck does not wait; stock can be put right later; what the floor's own people look at comes after."""

MAJOR = 1
TYPE_PREFIX = "io.sortline."


def bare_type(type_: str) -> str:
    """Of an event, without prefix and version."""
    return type_.removeprefix(TYPE_PREFIX).removesuffix(f".v{MAJOR}")
