"""`sortline explain ID WHERE`: from a business event back to the records that speak of the same thing.

WHERE is a site file or a data folder; records come from its journal, or from a recording (`--records`). The event is
looked for in the outbox, among the dead letters and in the embedded queues, and for a site file in Redis, too. A record
is shown if it decided (`causationid`), or if it names the event's task, order line, carton, load unit, shipment, stock
or return. That is what was said of the thing, in the order in which it was accepted; what the rules made of it is in
docs/rules.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine import recordings
from engine.config.load import load_site
from engine.config.site import Site
from engine.errors import Refused
from engine.logs import escaped
from engine.sqlite_file import open_to_read

RECORDS_MAX = 1_000
DECIDED = "decided"
QUERIES = (
    # the outbox and what it told, dead letters, embedded queues: whichever tables a file has
    ("events", "SELECT sequence, body FROM events WHERE id = ?"),
    ("letters", "SELECT sequence, raw FROM letters WHERE id = ?"),
    ("entries", "SELECT 0, body FROM entries WHERE id = ?"),
)

Fields = Mapping[str, Any]


class Match(NamedTuple):
    """A record that speaks of the event's thing. why: `decided`, or the fields that it shares."""

    record: Fields
    why: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of the business event")
    parser.add_argument("where", metavar="WHERE", type=Path, help="SITE.toml, or a data folder")
    parser.add_argument("--records", metavar="FILE", help="a recording, instead of the folder's journal")
    parser.add_argument(
        "--limit", type=int, default=RECORDS_MAX, metavar="N", help=f"at most N records ({RECORDS_MAX})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line: the event, then the records")


def run(args: argparse.Namespace) -> int:
    """0. An event that nobody has is raised as Refused."""
    site = load_site(args.where) if args.where.suffix == ".toml" else None
    folder = Path(site.engine.data_dir) if site is not None else args.where
    event = _find(args.id, folder, site)
    _show_event(event, args.json)
    shown = 0
    for match in matches(event, _records(args.records or str(folder))):
        if shown == args.limit:
            print(f"... and more: --limit {10 * args.limit}")
            break
        shown += 1
        _show(match, args.json)
    if not shown and not args.json:
        print("no record speaks of it: the journal no longer has them; give a recording with --records")
    return 0


def matches(event: Fields, records: Iterator[Fields]) -> Iterator[Match]:
    """Those that speak of the event's thing, in their order."""
    groups, cause = keys_of(event), event.get("causationid")
    for record in records:
        if cause and dev_id(record) == cause:
            yield Match(record, DECIDED)
            continue
        group = next((group for group in groups if _speaks_of(record, group)), None)
        if group is not None:
            yield Match(record, " ".join(f"{name}={value}" for name, value in group.items()))


def keys_of(event: Fields) -> list[dict[str, Any]]:
    """Groups of fields; a record that has all of one group speaks of the event's thing."""
    data: Fields = event.get("data") or {}
    named = {**_of_subject(str(event.get("subject", ""))), **data}
    found: list[dict[str, Any]] = []
    for names in (("task",), ("order", "line"), ("shipment",), ("loc", "sku"), ("rma", "sku"), ("trailer",)):
        if all(name in named for name in names):
            found.append({name: named[name] for name in names})
    if "task" in named or "line" in named:
        return found  # what else its load unit held is not this pick's business
    units = [named.get("carton"), named.get("lu"), *_cartons(data.get("cartons"))]
    for unit in filter(lambda unit: isinstance(unit, str), units):
        # a carton's own number and its load unit's are often the same; LU#3 is the unit's third cycle
        lu = str(unit).partition("#")[0]
        found += [group for group in ({"carton": unit}, {"lu": lu}, {"from_lu": lu}) if group not in found]
    return found


def _of_subject(subject: str) -> dict[str, Any]:
    kind, _, rest = subject.partition("/")
    if kind == "line":
        order, _, line = rest.rpartition("/")
        return {"order": order, "line": int(line) if line.isdecimal() else line}
    if kind == "stock":
        loc, _, sku = rest.partition("/")
        return {"loc": loc, "sku": sku.partition("/")[0]}
    return {kind: rest} if kind in ("task", "carton", "shipment") and rest else {}


def _cartons(cartons: object) -> list[object]:
    if not isinstance(cartons, list):
        return []
    return [each.get("carton") if isinstance(each, dict) else each for each in cartons]


def _speaks_of(record: Fields, group: Fields) -> bool:
    if all(record.get(name) == value for name, value in group.items()):
        return True
    # an order's lines and a pick's allocations stand below it, with or without the order's number
    for inner in record.values():
        if isinstance(inner, list):
            for element in inner:
                if isinstance(element, dict) and all({**record, **element}.get(n) == v for n, v in group.items()):
                    return True
    return False


def dev_id(record: Fields) -> str:
    """`src/epoch/seq/sub`, as `causationid` has it for a record with a number; others are found by what they name."""
    if "seq" not in record:
        return ""
    return "/".join(str(record.get(name, 0)) for name in ("src", "epoch", "seq", "sub"))


def _records(name: str) -> Iterator[Fields]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for chunk in recordings.read(name):
        for line in chunk.data.splitlines():
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:
                continue  # it was refused when it came


def _find(id_: str, folder: Path, site: Site | None) -> Fields:
    files = sorted(folder.glob("*.sqlite"))
    if not files:
        raise Refused(f"{folder}: there is no outbox in it; give the site file or its engine.data_dir")
    for file in files:
        for body in _look(file, id_):
            return msgspec.json.decode(body, type=dict[str, Any])
    sequence = _told(folder / "outbox.sqlite", id_)
    if sequence is None:
        raise Refused(f"{folder}: no event {id_} was told by it, or too long ago")
    kept = asyncio.run(_in_redis(site, sequence, id_)) if site is not None else None
    if kept is None:
        raise Refused(
            f"{folder}: {id_} was told as event {sequence}, but every sink has it and none of them that can be looked "
            "into here still does"
        )
    return msgspec.json.decode(kept, type=dict[str, Any])


def _look(file: Path, id_: str) -> Iterator[bytes]:
    try:
        with open_to_read(file) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for table, query in QUERIES:
                if table in tables:
                    yield from (body for _, body in connection.execute(query, (id_,)))
    except sqlite3.DatabaseError as error:
        raise Refused(f"{file}: cannot be read: {error}") from None


def _told(file: Path, id_: str) -> int | None:
    if not file.is_file():
        return None
    with open_to_read(file) as connection:
        found = connection.execute("SELECT sequence FROM told WHERE id = ?", (id_,)).fetchone()
    return int(found[0]) if found else None


async def _in_redis(site: Site, sequence: int, id_: str) -> bytes | None:
    """The event out of a stream, if a Redis sink still has it: its entry's id is its sequence."""
    for sink in site.sinks:
        if sink.kind != "redis":
            continue
        from engine.sinks.reading import open_redis  # only a site with Redis needs its library

        reader = open_redis(sink.settings)
        try:
            for queue in sorted({to[sink.name] for to in site.routing().values() if sink.name in to}):
                for entry in await reader.read(queue, f"{sequence - 1}-{2**63}", 1):
                    if entry.id == id_:
                        return entry.body
        finally:
            await reader.close()
    return None


def _show_event(event: Fields, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"event": event}).decode())
        return
    for name in ("id", "type", "subject", "time", "partitionkey", "correlationid", "causationid", "evidence"):
        if name in event:
            print(escaped(f"{name:<14} {event[name]}"))
    print(escaped(f"{'data':<14} {msgspec.json.encode(event.get('data')).decode()}\n"))


def _show(match: Match, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode({"why": match.why, "record": match.record}).decode())
        return
    rest = {name: value for name, value in match.record.items() if name not in ("t", "t_rx", "src", "kind")}
    at = match.record.get("t", match.record.get("t_rx", 0))
    mark = "->" if match.why == DECIDED else "  "
    line = f"{mark} {_instant(at)}  {match.record.get('src')}  {match.record.get('kind')}  {_text(rest)}"
    print(escaped(line))


def _text(fields: Mapping[str, Any]) -> str:
    parts: Sequence[str] = [
        f"{name}={value if isinstance(value, str | int) else msgspec.json.encode(value).decode()}"
        for name, value in fields.items()
    ]
    return " ".join(parts)


def _instant(us: object) -> str:
    if not isinstance(us, int):
        return "?"
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
