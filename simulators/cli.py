"""`sortline simulate`: a warehouse of devices, to a file or over the wire, with its ground truth."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from simulators.canonical import Telling, tell, write
from simulators.floor import Story
from simulators.settings import BUSY, Habits, Policy, Troubles
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


def _broker(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", _port(port)


def _port(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65_535:
        raise argparse.ArgumentTypeError(f"{text} is not a port: give 1..65535")
    return value


def _speed(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not a speed: give more than 0 and at most 100")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--orders", type=_positive, default=500, metavar="N", help="orders in the story (500)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story (1)")
    parser.add_argument("--site", default="dc1", help="first segment of every source's name (dc1)")
    parser.add_argument("--truth", metavar="F", help="write the expected business events there, NDJSON")
    parser.add_argument("--busy", action="store_true", help="everything that can happen on a floor happens, and often")
    parser.add_argument("--short-on-close", action="store_true", help="the site's rule of that name")
    parser.add_argument("--short-at-cutoff", action="store_true", help="the site's rule of that name")
    parser.add_argument("--noise", type=_share, default=0.0, metavar="SHARE", help="share of records that mean nothing")
    parser.add_argument("--duplicates", type=_share, default=0.0, metavar="SHARE", help="records that come twice")
    parser.add_argument("--disorder-ms", type=_disorder, default=0, metavar="MS", help="how far records may overtake")
    parser.add_argument("--late-picks", type=_share, default=0.0, metavar="SHARE", help="picks told after their carton")
    parser.add_argument("--late-context", type=_share, default=0.0, metavar="SHARE", help="shipments with late papers")
    parser.add_argument("--lost-chatter", type=_share, default=0.0, metavar="SHARE", help="numbered noise that is lost")
    parser.add_argument("--outages", type=int, default=0, metavar="N", help="how often a pick station is cut off")
    parser.add_argument("--skewed", action="store_true", help="a station with a wrong clock, a scale without numbers")
    parser.add_argument("--out", metavar="F", help="write canonical records there, NDJSON (`-`: standard output)")
    _add_live_arguments(parser)


def _add_live_arguments(parser: argparse.ArgumentParser) -> None:
    live = parser.add_argument_group("over the wire")
    live.add_argument("--live", action="store_true", help="tell the story as it happens, from now on")
    live.add_argument("--servers", action="store_true", help="start a broker too; ports as given, or 11883 15020 14840")
    live.add_argument("--mqtt", type=_broker, metavar="[HOST:]PORT", help="broker for stations, conveyor, order system")
    live.add_argument("--modbus", type=_port, metavar="PORT", help="be the sorter, the crane and the scale there")
    live.add_argument("--opcua", type=_port, metavar="PORT", help="be the packing line there")
    live.add_argument("--redis", metavar="URL", help="the order system speaks over Redis Streams (wms.context)")
    live.add_argument("--seconds", type=float, metavar="N", help="break the story off then")
    live.add_argument("--stay", action="store_true", help="when all is told, keep the connections until interrupted")
    live.add_argument("--speed", type=_speed, default=1.0, metavar="X", help="how fast the floor works (1)")


def run(args: argparse.Namespace) -> int:
    """0: told; 1: refused, with the reason on stderr; 2: wrong usage."""
    if args.live == (args.out is not None):
        print("simulate: give either --out FILE or --live", file=sys.stderr)
        return 2
    try:
        return _live(args) if args.live else _to_file(args)
    except OSError as error:
        print(f"simulate: {error}", file=sys.stderr)
        return 1


def _to_file(args: argparse.Namespace) -> int:
    policy = Policy(short_on_close=args.short_on_close, short_at_cutoff=args.short_at_cutoff)
    habits = BUSY if args.busy else Habits()
    story = tell_story(args.orders, args.seed, site=args.site, habits=habits, policy=policy)
    telling = tell(story, args.seed, troubles_of(args))
    if args.truth:
        write_truth(args.truth, story, telling, gaps=args.lost_chatter > 0)
    _write(args.out, write(telling.said))
    return 0


def _live(args: argparse.Namespace) -> int:
    if not (args.servers or args.mqtt or args.modbus or args.opcua or args.redis):
        print("simulate: --live needs --servers, or where to speak: --mqtt --modbus --opcua --redis", file=sys.stderr)
        return 2
    from simulators.live import Live, tell_live  # brings the protocols' libraries: only where they are used

    live = Live(
        orders=args.orders,
        seed=args.seed,
        site=args.site,
        troubles=troubles_of(args),
        speed=args.speed,
        seconds=args.seconds,
        stay=args.stay,
        mqtt=args.mqtt or (("127.0.0.1", 11883) if args.servers else None),
        own_broker=args.servers,
        modbus_port=args.modbus or (15020 if args.servers else None),
        opcua_port=args.opcua or (14840 if args.servers else None),
        redis_url=args.redis,
    )

    def story_told(story: Story, telling: Telling) -> None:
        if args.truth:
            write_truth(args.truth, story, telling, times=False)

    try:
        asyncio.run(tell_live(live, lambda line: print(f"simulate: {line}", file=sys.stderr, flush=True), story_told))
    except KeyboardInterrupt:
        return 0
    return 0


def troubles_of(args: argparse.Namespace) -> Troubles:
    return Troubles(
        noise=args.noise,
        duplicates=args.duplicates,
        disorder_ms=args.disorder_ms,
        late_picks=args.late_picks,
        late_context=args.late_context,
        lost_chatter=args.lost_chatter,
        outages=args.outages,
        skewed=args.skewed,
    )


def write_truth(path: str, story: Story, telling: Telling, *, times: bool = True, gaps: bool = False) -> None:
    expected = expected_events(story, telling.dev_ids, times=times, gaps=gaps)
    _write(path, (json.dumps(one, separators=(",", ":"), sort_keys=True).encode() + b"\n" for one in expected))


def _write(path: str, lines: Iterable[bytes]) -> None:
    if path == "-":
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    with Path(path).open("wb") as file:
        file.writelines(lines)
