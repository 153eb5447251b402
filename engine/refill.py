"""`sortline journal refill`: what a sink has lost the journal makes once more, and it gets it under the same ids.

    sortline journal refill SITE.toml --sink NAME [--from N] [--yes]

For a Redis that has come back without its streams, or an embedded queue that is gone or was damaged. Everything that
the sink had, from event N on, is sent again in its order; a Redis stream gets the same entry ids, so it has to end
before them, and what it has is passed over. Dead letters are left to `sortline dlq`, what waits in the outbox to the
engine, which must not run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine import newer
from engine.clock import now_us
from engine.config.faults import count
from engine.config.load import load_site
from engine.config.site import SinkTable, Site
from engine.contracts import FileSink, OutRow, Sink
from engine.dead_letters import DeadLetters
from engine.disk import DISK
from engine.error_classes import Class, classify, code_of
from engine.errors import Refused
from engine.fsck import locked
from engine.mended_databases import LETTERS, OUTBOX
from engine.model import bare_type
from engine.outbox import SqliteOutbox
from engine.recordings import read
from engine.replay import Replay
from engine.segment_folder import SegmentFolder
from engine.sinks import registry

KINDS = ("redis", "queue")
AT_ONCE = 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("where", metavar="SITE.toml", type=Path)
    parser.add_argument("--sink", required=True, metavar="NAME", help="which sink has lost them")
    parser.add_argument("--from", dest="first", type=int, default=1, metavar="N", help="begin with this event (1)")
    parser.add_argument("--yes", action="store_true", help="do it; without it, only say what would be sent")


def run(args: argparse.Namespace) -> int:
    """0. What cannot be made, or is not taken, is raised as Refused."""
    site = load_site(args.where)
    table = next((each for each in site.sinks if each.name == args.sink), None)
    if table is None:
        raise Refused(f"{args.where}: there is no sink {args.sink}")
    if table.kind not in KINDS:
        raise Refused(f"sink {args.sink}: a web service keeps what it got; a queue or a stream can be filled again")
    data_dir = Path(site.engine.data_dir)
    sink: Sink = registry.sink_of(table.kind)(table.name, table.settings, data_dir, now_us)
    newer.refuse(data_dir, [sink.path] if isinstance(sink, FileSink) else ())
    lock = locked(data_dir)
    try:
        first = min(SegmentFolder(data_dir / "journal").numbers(), default=0)
        if first != 1 or not (data_dir / OUTBOX).is_file():
            raise Refused(f"{data_dir}: without the journal's beginning and the outbox it cannot be told what was sent")
        sent = asyncio.run(_refill(site, table, sink, data_dir, args.first, send=args.yes))
    finally:
        DISK.close(lock)
    for queue, number in sorted(sent.items()):
        print(f"{queue}: {count(number, 'event')} {'there' if args.yes else 'would be sent again'}")
    if not args.yes:
        print("nothing was sent; do it with --yes")
    return 0


async def _refill(site: Site, table: SinkTable, sink: Sink, data_dir: Path, first: int, *, send: bool) -> Counter[str]:
    """By queue, how many."""
    sinks = [each.name for each in site.sinks]
    outbox = SqliteOutbox(data_dir / OUTBOX, routes=site.routing(), sinks=sinks, rows_max=site.engine.outbox_rows_max)
    replay = Replay(str(data_dir), None, strict=False)
    sent: Counter[str] = Counter()
    try:
        had = Had(outbox, table.name, _buried(data_dir / LETTERS, table.name), first)
        if send:
            await sink.open()
        for chunk in read(str(data_dir)):
            replay.take(chunk, had, None)
            for rows in had.taken():
                if send:
                    await sink.send(rows)
                sent.update(row.queue for row in rows)
    except Exception as error:
        if isinstance(error, Refused) or classify(error) is Class.BUG:
            raise
        raise Refused(
            f"sink {table.name}: {code_of(error)}: {error}. It has what was sent before: do it again"
        ) from error
    finally:
        replay.progress.clear()
        await sink.close()
        outbox.close()
    return sent


def _buried(path: Path, sink: str) -> set[tuple[str, int]]:
    if not path.is_file():
        return set()
    letters = DeadLetters(path, now_us, only_looks=True)
    try:
        return letters.places(sink)
    finally:
        letters.close()


class _Event(msgspec.Struct):
    id: str
    type: str
    partitionkey: str
    sequence: str


class Had:
    """`recordings.Output` of a replay: of the events that it makes those that the sink has had, from `first` on."""

    def __init__(self, outbox: SqliteOutbox, sink: str, buried: set[tuple[str, int]], first: int) -> None:
        self._outbox = outbox
        self._lanes = [(lane, outbox.cursor(lane.number)) for lane in outbox.lanes(sink)]
        self._buried = buried
        self._first = first
        self._rows: list[OutRow] = []

    def write(self, lines: bytes) -> None:
        for body in lines.splitlines():
            event = msgspec.json.decode(body, type=_Event)
            position, type_ = int(event.sequence), bare_type(event.type)
            queue = self._queue_of(type_, position)
            if position >= self._first and queue is not None and (queue, position) not in self._buried:
                self._rows.append(OutRow(position, event.id, type_, queue, event.partitionkey, body))

    def flush(self) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> list[Sequence[OutRow]]:
        """What came since, a call's worth each. Raises Refused where something else was told in its place."""
        rows, self._rows = self._rows, []
        calls: list[Sequence[OutRow]] = [rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)]
        for call in calls:
            told = self._outbox.told(call[0].position, call[-1].position)
            for row in call:
                if told.get(row.position, row.id) != row.id:
                    raise Refused(
                        f"event {row.position} was told as {told[row.position]}, and the journal now makes {row.id} of "
                        "it: records were lost, or another version of the program told it"
                    )
        return calls

    def _queue_of(self, type_: str, position: int) -> str | None:
        """Where the sink has had it; None: nowhere, or it waits in the outbox."""
        for lane, cursor in self._lanes:  # those of earlier routes come first
            if type_ in lane.types and (lane.until is None or position <= lane.until):
                return lane.queue if position <= cursor else None
        return None
