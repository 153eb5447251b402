"""How right the engine was: its business events against the ground truth.

Reads nothing of the engine: the id of an expected event is made here once more from `site|type|key`, as the contract
says (code + `1.` + 26 characters of lower-case base32 of SHA-256 + `:r` + revision).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from simulators.truth import TYPES

CODES = {
    "pick.confirmed": "pc",
    "pick.short": "ps",
    "pick.reversed": "pr",
    "carton.closed": "cc",
    "carton.reopened": "co",
    "carton.voided": "cv",
    "shipment.ready": "sr",
    "shipment.unready": "su",
    "shipment.manifested": "sm",
    "shipment.voided": "sv",
    "inventory.discrepancy": "id",
    "return.received": "rr",
    "return.dispositioned": "rd",
}
_SHOWN_MAX = 20

_JUDGED = {("shipment.manifested", "cartons"): ("carton", "tracking_no")}
"""Lists of which the floor determines only some fields of an item."""


class Unreadable(ValueError):
    """A file that is not what it should be: which, and where."""


class Event(NamedTuple):
    """The last revision of a business event."""

    id: str  # without revision
    type: str
    revision: int
    sequence: int
    data: dict[str, Any]
    subject: str


class Wrong(NamedTuple):
    event: str
    field: str
    expected: object
    actual: object


class Score(NamedTuple):
    """`right`: expected events whose last revision is as it must be. `missing`, `extra`: names of events."""

    right: int
    missing: list[str]
    extra: list[str]
    wrong: list[Wrong]

    @property
    def perfect(self) -> bool:
        return not (self.missing or self.extra or self.wrong)


def event_id(site: str, type_: str, key: str) -> str:
    digest = hashlib.sha256(f"{site}|{type_}|{key}".encode()).digest()
    return f"{CODES[type_]}1.{base64.b32encode(digest).decode().lower()[:26]}"


def score(out_path: str | Path, truth_path: str | Path) -> Score:
    """Compare the last revision of every judged event in `out_path` with `truth_path`, both NDJSON.

    Raises Unreadable, or OSError.
    """
    events, broken = _last_revisions(_lines(out_path, "business event", ("id", "type", "sequence")))
    unready = {event.subject: event.sequence for event in events.values() if event.type == "shipment.unready"}
    missing: list[str] = []
    extra: list[str] = []
    wrong = list(broken)
    right = 0
    known: set[str] = set()
    for expected in _lines(truth_path, "row of a ground truth", ("site", "type", "key", "data")):
        name = f"{expected['type']} {expected['key']}"
        base = event_id(expected["site"], expected["type"], expected["key"])
        known.add(base)
        event = events.get(base)
        stands = event is not None and event.sequence > unready.get(event.subject, -1)
        if expected["type"] == "shipment.ready" and not expected["stands"]:
            if stands:
                extra.append(f"{name} (it was not ready)")
            else:
                right += 1
        elif event is None:
            if not expected.get("optional"):
                missing.append(name)
        elif expected["type"] == "shipment.ready" and not stands:
            wrong.append(Wrong(name, "ready", True, False))
        else:
            differences = list(_differences(name, expected["type"], expected["data"], event.data))
            wrong += differences
            right += not differences
    extra += [
        f"{event.type} {event.subject} ({base})"
        for base, event in events.items()
        if event.type in TYPES and base not in known and not _says_nothing(event)
    ]
    return Score(right, missing, extra, wrong)


def _says_nothing(event: Event) -> bool:
    """A short that was taken back, or a cancelled confirmation of nothing, means the same as no event."""
    if event.type == "pick.confirmed":
        return bool(event.data.get("cancelled")) and event.data.get("qty") == 0
    return event.type == "pick.short" and event.data.get("qty_short") == 0


def _lines(path: str | Path, what: str, fields: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The objects of a file, each with these fields at least."""
    with sys.stdin.buffer if str(path) == "-" else Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                raise Unreadable(f"{path}:{number}: not JSON; is it a file of {what}s?") from None
            if not isinstance(row, dict) or not row.keys() >= set(fields):
                raise Unreadable(f"{path}:{number}: no {what}")
            yield row


def _last_revisions(lines: Iterable[dict[str, Any]]) -> tuple[dict[str, Event], list[Wrong]]:
    """The newest revision of every event by id, and the revisions that do not follow on from the one before."""
    events: dict[str, Event] = {}
    broken: list[Wrong] = []
    for line in lines:
        base, _, number = line["id"].rpartition(":r")
        revision = int(number)
        type_ = line["type"].removeprefix("io.sortline.").removesuffix(".v1")
        event = Event(base, type_, revision, int(line["sequence"]), line.get("data", {}), line.get("subject", ""))
        last = events.get(base)
        name = f"{type_} {event.subject}"
        if revision != (last.revision + 1 if last else 0):
            broken.append(Wrong(name, "revision", last.revision + 1 if last else 0, revision))
        if line.get("supersedes") != (f"{base}:r{revision - 1}" if revision else None):
            broken.append(Wrong(name, "supersedes", f":r{revision - 1}" if revision else None, line.get("supersedes")))
        if last is None or revision > last.revision:
            events[base] = event
    return events, broken


def _differences(name: str, type_: str, expected: dict[str, Any], actual: dict[str, Any]) -> Iterator[Wrong]:
    for field, value in expected.items():
        found = actual.get(field)
        judged = _JUDGED.get((type_, field))
        if judged and isinstance(found, list):
            found = [{key: item[key] for key in judged if key in item} for item in found]
        if _plain(found) != _plain(value):
            yield Wrong(name, field, value, found)


def _plain(value: object) -> object:
    """Lists compare by what is in them: the order of items is the engine's to choose, and tested there."""
    if isinstance(value, list):
        return sorted(json.dumps(item, sort_keys=True) for item in value)
    return value


def report(found: Score) -> str:
    """A few lines for people: the counts, and the first differences of each sort."""
    out = [
        f"{found.right} right, {len(found.missing)} missing, {len(found.extra)} extra, "
        f"{len(found.wrong)} wrong{': perfect' if found.perfect else ''}"
    ]
    wrong = [f"{w.event}: {w.field} is {json.dumps(w.actual)}, not {json.dumps(w.expected)}" for w in found.wrong]
    for title, items in (("missing", found.missing), ("extra", found.extra), ("wrong", wrong)):
        out += [f"  {title}: {item}" for item in items[:_SHOWN_MAX]]
        if len(items) > _SHOWN_MAX:
            out.append(f"  {title}: ... and {len(items) - _SHOWN_MAX} more")
    return "\n".join(out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="OUT", help="business events, NDJSON (`-`: standard input)")
    parser.add_argument("truth", metavar="TRUTH", help="ground truth, as `simulate --truth` writes it")


def run(args: argparse.Namespace) -> int:
    """`sortline score OUT TRUTH`: prints the report; 0 if everything is right, else 1."""
    try:
        found = score(args.out, args.truth)
    except OSError as error:
        print(f"sortline: {error.filename}: cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    except Unreadable as error:
        print(f"sortline: {error}", file=sys.stderr)
        return 1
    print(report(found))
    return 0 if found.perfect else 1
