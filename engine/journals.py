"""`sortline journal`: the records that a data folder's journal holds.

    sortline journal list WHERE                    its segments
    sortline journal export WHERE --out F          all its records as a recording: .ndjson, .zst, .parquet, - for stdout
    sortline journal refill SITE.toml --sink NAME  what a sink has lost, once more: see refill

WHERE is a site file, a data folder, or a journal's folder; the engine may run meanwhile, but for a refill. `sortline
replay` reads the same places.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from engine import refill
from engine.errors import Refused
from engine.fsck import data_folder
from engine.recordings import Writer, new_file, say
from engine.segment_folder import SegmentFolder, journal_of, readable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser(
        "list", aliases=["ls"], help="list its segments", description="List the segments of a journal."
    )
    exported = actions.add_parser(
        "export", help="write its records as a recording", description="Write the records of a journal as a recording."
    )
    for action in (listed, exported):
        action.add_argument("where", metavar="WHERE", type=Path, help="the site file, the data folder, or a journal")
    exported.add_argument("--out", required=True, help="a new file: .ndjson, .zst, .parquet, or - for stdout")
    exported.add_argument("--first", type=int, default=1, metavar="N", help="begin with this segment")
    exported.add_argument("--last", type=int, metavar="N", help="end with this segment")
    text = "send a sink what it has lost once more"
    refill.add_arguments(actions.add_parser("refill", help=text, description=text[0].upper() + text[1:] + "."))


def run(args: argparse.Namespace) -> int:
    """0. A place without a journal is raised as Refused."""
    if args.action == "refill":
        return refill.run(args)
    where = args.where if args.where.is_dir() else data_folder(args.where)
    folder = journal_of(where)
    if folder is None:
        raise Refused(f"{where}: there is no journal in it")
    segments = SegmentFolder(folder)
    if args.action in ("list", "ls"):
        for line in listing(segments):
            print(line)
        return 0
    with new_file(args.out) as place, Writer(place) as out:
        last = args.last if args.last is not None else max(segments.numbers(), default=0)
        numbers = [number for number in segments.numbers() if args.first <= number <= last]
        for _, _, payload in readable(segments, numbers, say):
            out.write(payload)
    return 0


def listing(segments: SegmentFolder) -> Iterator[str]:
    """A line a segment: its name, bytes of its file, when it was begun."""
    for number in segments.numbers():
        header = segments.header(number)
        held = segments.held(number)
        if held is None or header is None:
            continue  # the engine let it go meanwhile
        begun = datetime.fromtimestamp(header.begun_us / 1e6, UTC).isoformat() if header.begun_us else "-"
        yield f"{held.path.name:<24} {held.bytes:>14,} bytes   begun {begun}"
