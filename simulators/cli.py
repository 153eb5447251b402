"""`sortline simulate`: a warehouse of devices, to a file or over the wire, with its ground truth."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from simulators.canonical import Telling, tell, write
from simulators.floor import Story
from simulators.settings import Troubles
from simulators.truth import expected_events
from simulators.warehouse import tell_story


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share: give 0 or more and less than 1")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _disorder(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 4_900:
        raise argparse.ArgumentTypeError(f"{text}: give 0..4900, beyond that a device's clock is no longer believed")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=_positive, default=500, metavar="N", help="orders in the story (500)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story (1)")
    parser.add_argument("--site", default="dc1", help="first segment of every source's name (dc1)")
    parser.add_argument("--truth", metavar="F", help="write the expected business events there, NDJSON")
    parser.add_argument("--noise", type=_share, default=0.0, metavar="SHARE", help="share of records that mean nothing")
    parser.add_argument("--duplicates", type=_share, default=0.0, metavar="SHARE", help="records that come twice")
    parser.add_argument("--disorder-ms", type=_disorder, default=0, metavar="MS", help="how far records may overtake")
    parser.add_argument("--late-picks", type=_share, default=0.0, metavar="SHARE", help="picks told after their carton")
    parser.add_argument("--out", metavar="F", help="write canonical records there, NDJSON (`-`: standard output)")


def run(args: argparse.Namespace) -> int:
    """0: told; 1: refused, with the reason on stderr; 2: wrong usage."""
    if args.out is None:
        print("simulate: give --out FILE", file=sys.stderr)
        return 2
    story = tell_story(args.orders, args.seed, site=args.site)
    telling = tell(story, args.seed, troubles_of(args))
    try:
        if args.truth:
            write_truth(args.truth, story, telling)
        _write(args.out, write(telling.said))
    except OSError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1
    return 0


def troubles_of(args: argparse.Namespace) -> Troubles:
    return Troubles(
        noise=args.noise, duplicates=args.duplicates, disorder_ms=args.disorder_ms, late_picks=args.late_picks
    )


def write_truth(path: str, story: Story, telling: Telling, *, until: int | None = None, times: bool = True) -> None:
    expected = expected_events(story, telling.dev_ids, until=until, times=times)
    _write(path, (json.dumps(one, separators=(",", ":"), sort_keys=True).encode() + b"\n" for one in expected))


def _write(path: str, lines: Iterable[bytes]) -> None:
    if path == "-":
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    with Path(path).open("wb") as file:
        file.writelines(lines)
