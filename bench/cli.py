"""`sortline bench`: figures of this machine, with peers in the same run."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

from bench.cases import CASES, OURS, Result
from bench.workload import story_chunks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"all of them, or some of: {', '.join(CASES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--orders", type=_positive, default=2_000, metavar="N", help="orders in the story (2000)")
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="timed runs, the median counts (5)")


def run(args: argparse.Namespace) -> int:
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        print(f"sortline bench: there is no case {', '.join(unknown)}; there are {', '.join(CASES)}", file=sys.stderr)
        return 2
    chunks = story_chunks(args.orders)
    records = sum(chunk.count(b"\n") for chunk in chunks)
    for name in args.cases or CASES:
        figures = figures_of(name, CASES[name](chunks, args.runs), records)
        print(json.dumps(figures) if args.json else _line(figures), flush=True)
    return 0


def figures_of(case: str, result: Result, records: int) -> dict[str, object]:
    """What a case says of itself. `ratio`: ours by each peer's, the only figures that other machines can be held to."""
    rates = {name: round(records / timing.run_s) for name, timing in result.items()}
    ours = rates.pop(OURS)
    return {
        "case": case,
        "events_per_s": ours,
        "p50_ms": round(result[OURS].p50_ms, 3),
        "p99_ms": round(result[OURS].p99_ms, 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "records": records,
        "peers": rates,
        "ratio": {name: round(ours / rate, 2) for name, rate in rates.items()},
        "versions": {name: _version(name) for name in ("sortline", "msgspec")} | {"python": platform.python_version()},
        "machine": platform.machine(),
    }


def _line(figures: dict[str, object]) -> str:
    peers = figures["ratio"]
    assert isinstance(peers, dict)
    against = ", ".join(f"{ratio} x {name}" for name, ratio in peers.items())
    return f"{figures['case']:<15} {figures['events_per_s']:>12,} records/s   {against}   {figures['rss_mb']} MB"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
