"""`sortline queue`: look at the queues that a site's sinks fill, and acknowledge in a consumer's name.

    sortline queue list WHERE
    sortline queue peek WHERE QUEUE [--consumer NAME | --after POSITION] [--limit N]
    sortline queue tail WHERE QUEUE [--limit N] [--once]
    sortline queue ack WHERE QUEUE --consumer NAME --upto POSITION

WHERE is a site file (with `--sink NAME` where it has several), the file of an embedded queue, or redis://HOST:PORT/DB.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from engine.config.faults import suggest
from engine.config.load import load_site
from engine.error_classes import Class, classify
from engine.errors import Refused
from engine.logs import escaped
from engine.sinks.reading import Entry, QueueView, Reader, encode, open_file, open_redis, open_url

FOLLOW_S = 0.5
PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    texts = {
        "list": "the queues, their entries, and where each consumer stands",
        "peek": "the oldest entries, or the next ones of a consumer; takes nothing away",
        "tail": "the newest entries, and those that come, until Ctrl-C",
        "ack": "say that a consumer has everything up to a position",
    }
    for name, text in texts.items():
        aliases = ["ls"] if name == "list" else []
        action = actions.add_parser(name, aliases=aliases, help=text, description=text[0].upper() + text[1:] + ".")
        action.add_argument(
            "where", metavar="WHERE", help="SITE.toml, an embedded queue's file, or redis://host:port/db"
        )
        action.add_argument("--sink", metavar="NAME", help="which sink of the site file; needed if it has several")
        if name != "list":
            action.add_argument("queue", metavar="QUEUE", help="the queue's name, as `list` shows it")
        if name in ("peek", "tail"):
            action.add_argument("--limit", type=int, default=10, metavar="N", help="at most so many entries (10)")
        if name in ("peek", "ack"):
            action.add_argument(
                "--consumer", metavar="NAME", required=name == "ack", help="its reader, or group in Redis"
            )
        if name == "peek":
            action.add_argument("--after", metavar="POSITION", help="begin behind this position")
        if name == "tail":
            action.add_argument("--once", action="store_true", help="do not wait for more")
        if name == "ack":
            action.add_argument("--upto", metavar="POSITION", required=True, help="the last position that it has")
        action.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0. A place without queues, a queue or a position that is not there are raised as Refused."""
    asyncio.run(_run(args))
    return 0


async def _run(args: argparse.Namespace) -> None:
    reader = _reader(args.where, args.sink)
    try:
        await {"list": _list, "ls": _list, "peek": _peek, "tail": _tail, "ack": _ack}[args.action](reader, args)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) or classify(error) is not Class.BUG:
            raise Refused(f"{args.where}: {error}") from error
        raise
    finally:
        await reader.close()


def _reader(where: str, sink: str | None) -> Reader:
    if where.startswith(("redis://", "rediss://")):
        return open_url(where)
    if not where.endswith(".toml"):
        return open_file(Path(where))
    site = load_site(Path(where))
    tables = [table for table in site.sinks if sink in (None, table.name)]
    if len(tables) != 1:
        raise Refused(f"{where}: which of its sinks? --sink {' or '.join(table.name for table in site.sinks)}")
    table = tables[0]
    if table.kind == "http":
        raise Refused(f"{where}: sink {table.name} is a web service: there is no queue to look at")
    if table.kind == "redis":
        return open_redis(table.settings)
    return open_file(Path(site.engine.data_dir) / (table.settings.path or f"{table.name}.sqlite"), table.settings)


async def _list(reader: Reader, args: argparse.Namespace) -> None:
    views = await reader.views()
    if args.json:
        for view in views:
            consumers = [consumer._asdict() for consumer in view.consumers]
            _print_json(msgspec.json.encode({**view._asdict(), "consumers": consumers}))
        return
    _print(f"{'queue':<24} {'entries':>9} {'last':>14}  consumers")
    for view in views:
        _print(f"{view.queue:<24} {view.entries:>9} {view.last:>14}  {_consumers(view)}")


def _consumers(view: QueueView) -> str:
    parts = [
        f"{each.name} at {each.position}, {'?' if each.open is None else each.open} open" for each in view.consumers
    ]
    return "; ".join(parts) or "none"


async def _peek(reader: Reader, args: argparse.Namespace) -> None:
    after = args.after or (await reader.position(args.queue, args.consumer) if args.consumer else "")
    entries = await reader.read(args.queue, after, args.limit)
    for entry in entries:
        _show(args, entry)
    known = [] if entries else [view.queue for view in await reader.views()]
    if not entries and args.queue not in known:
        raise Refused(f"there is no queue {args.queue} yet: {suggest(args.queue, known)}")


async def _tail(reader: Reader, args: argparse.Namespace) -> None:
    at = await reader.before_last(args.queue, args.limit)
    while True:
        entries = await reader.read(args.queue, at, PAGE)
        for entry in entries:
            _show(args, entry)
            at = entry.position
        sys.stdout.flush()
        if not entries:
            if args.once:
                return
            await asyncio.sleep(FOLLOW_S)


async def _ack(reader: Reader, args: argparse.Namespace) -> None:
    stands = await reader.ack(args.queue, args.consumer, args.upto)
    if args.json:
        _print_json(msgspec.json.encode({"queue": args.queue, "consumer": args.consumer, "position": stands}))
    else:
        _print(f"{args.queue}: {args.consumer} has everything up to {stands}")


def _show(args: argparse.Namespace, entry: Entry) -> None:
    if args.json:
        _print_json(encode(args.queue, entry))
        return
    event = msgspec.json.decode(entry.body)
    time, data = (event.get(name, "") for name in ("time", "data")) if isinstance(event, dict) else ("", "")
    text = msgspec.json.encode(data).decode()
    _print(f"{entry.position:>8}  {time}  {entry.type:<21} {entry.id}  {entry.partitionkey}  {text}")


def _print(line: str) -> None:
    print(escaped(line))


def _print_json(line: bytes) -> None:
    print(line.decode())
