"""Holds the core's events against the oracle's finals: one sentence a difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.oracle.events import Final
from tests.oracle.ids import CODES

Event = dict[str, Any]


def bare(type_: str) -> str:
    """io.sortline.pick.confirmed.v1 -> pick.confirmed"""
    return type_.removeprefix("io.sortline.").removesuffix(".v1")


def last_revisions(events: Iterable[Event]) -> dict[str, Event]:
    """By id without its revision, only the types that the oracle knows."""
    return {event["id"].rpartition(":")[0]: event for event in events if bare(event["type"]) in CODES}


def means_nothing(type_: str, data: Mapping[str, Any]) -> bool:
    """R27: a cancelled revision of qty 0 means the same as no event; so does a short that was revised to 0 (R25), what
    was told of a line that turned out to be its task's (R20), and of a window that turned out never to have been full
    (R21)."""
    if type_ == "pick.confirmed":
        return bool(data.get("qty", 1) <= 0)
    if type_ == "inventory.discrepancy":  # R71: cleared
        return "actual" in data and data["actual"] == data.get("expected")
    if type_ == "return.received":  # every scan of it turned out to be another return's (R72)
        return data.get("qty") == 0
    if type_ == "pick.reversed":  # told as the line's, and its task's in the end (R20)
        return data.get("qty") == 0
    return type_ == "pick.short" and data.get("qty_short") == 0


def _emptied(event: Event) -> bool:
    """A carton was told closed with pieces in it, until a late record took the last of them away (R44, R45)."""
    return bare(event["type"]) == "carton.closed" and not event["data"]["contents"] and not event["id"].endswith(":r0")


def differences(events: Iterable[Event], finals: Mapping[str, Final], late: bool = False) -> list[str]:
    """What the last revisions of `events` and `finals` do not agree on.

    `late`: records came long after their event time, so that a shipment may have been ready for a while on what was
    known by then, or a carton open again; only whether it is so in the end, and with what, can be compared.
    """
    lasts, finals = last_revisions(events), dict(finals)
    if late:
        _settle(lasts, finals)
    found = []
    for id_, final in finals.items():
        if id_ in lasts:
            found += [f"{final.type} {final.key}: {what}" for what in _unequal(lasts[id_], final)]
        elif final.certain and not means_nothing(final.type, final.data):
            found.append(f"{final.type} {final.key}: missing; expected {final.data}")
    for id_, event in lasts.items():
        if id_ not in finals and not means_nothing(bare(event["type"]), event["data"]) and not _emptied(event):
            found.append(f"{bare(event['type'])} {event['subject']}: not expected; is {event['data']}")
    return found + list(_misordered(lasts, finals))


def _misordered(lasts: Mapping[str, Event], finals: Mapping[str, Final]) -> Iterable[str]:
    """R52: of ready and unready, the one that holds in the end is told last."""
    known = {(final.type, final.key): id_ for id_, final in finals.items() if id_ in lasts}
    for (type_, key), unready in known.items():
        ready = known.get(("shipment.ready", key))
        if type_ == "shipment.unready" and ready is not None and finals[unready].certain:
            holds = finals[ready].time > finals[unready].time
            if holds != (lasts[ready]["sequence"] > lasts[unready]["sequence"]):
                yield f"shipment.ready {key}: {'before' if holds else 'after'} shipment.unready"


def _settle(lasts: dict[str, Event], finals: dict[str, Final]) -> None:
    """Leaves of ready and unready only a ready that still holds."""
    expected = {(final.type, final.key): final for final in finals.values()}
    for id_, final in list(finals.items()):
        unready = expected.get(("shipment.unready", final.key))
        if final is unready or (final.type == "shipment.ready" and unready and final.time < unready.time):
            del finals[id_]
    told = {(bare(event["type"]), event["subject"]): event for event in lasts.values()}
    for id_, event in list(lasts.items()):
        if bare(event["type"]) == "carton.reopened" and id_ not in finals:
            del lasts[id_]
            continue
        other = told.get(("shipment.unready", event["subject"]))
        ready = bare(event["type"]) == "shipment.ready"
        if event is other or (ready and other and event["sequence"] < other["sequence"]):
            del lasts[id_]


def _unequal(event: Event, final: Final) -> Iterable[str]:
    data = event["data"]
    if means_nothing(final.type, final.data) and means_nothing(final.type, data):
        return
    for name in sorted((data.keys() | final.data.keys()) - final.free):
        if data.get(name) != final.data.get(name):
            yield f"data.{name} is {data.get(name)}, expected {final.data.get(name)}"
    envelope = {"time": final.time} if final.certain else {}
    for name, value in {**envelope, "subject": final.subject}.items():
        if event.get(name) != value:
            yield f"{name} is {event.get(name)}, expected {value}"
    for name, wanted in (("partitionkey", final.partitionkey), ("correlationid", final.correlationid)):
        if wanted is not None and event.get(name) != wanted:
            yield f"{name} is {event.get(name)}, expected {wanted}"
