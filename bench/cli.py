"""`sortline bench`: figures of this machine, with peers in the same run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.measure import Absent, Failed, told_of
from bench.registry import CASES, case_of
from bench.settings import OURS, Figures, Settings
from bench.workload import STORIES

FAULT, USAGE = 3, 2
PACKAGES = ("sortline", "msgspec", "numpy", "uvloop", "polars", "bytewax", "redis", "aiomqtt", "paho-mqtt", "gmqtt",
            "pymodbus", "asyncua")  # fmt: skip
UNITS = {
    # a case's headline is the first of these that it has
    "ns_a_record": "ns/record",
    "us_an_event": "us/event",
    "take_ms": "ms to take",
    "start_s": "s to start",
    "cpu_percent": "% of a core",
    "events_per_s": "records/s",
    "p99_ms": "ms p99",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"all of them, or some of: {', '.join(CASES)}")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument(
        "--scale", type=_positive_number, default=1.0, metavar="F", help="every size times this: 0.01 for a look (1)"
    )
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="timed turns, the median counts (5)")
    parser.add_argument("--story", choices=STORIES, default="floor", help="the traffic of the speed cases (floor)")


def run(args: argparse.Namespace) -> int:
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        print(f"sortline bench: there is no case {', '.join(unknown)}; there are {', '.join(CASES)}", file=sys.stderr)
        return USAGE
    settings = Settings(args.scale, args.runs, args.story)
    code = 0
    for name in args.cases or CASES:
        _say(f"{name} ...")
        figures = measured(name, settings)
        _say("")
        print(json.dumps(figures) if args.json else line(figures), flush=True)
        if "failed" in figures:
            print(f"sortline bench: {name}: {figures['failed']}", file=sys.stderr)
            code = FAULT
    return code


def measured(name: str, settings: Settings) -> Figures:
    """What a case says of itself, and what it ran on. `skipped` or `failed`, with the reason, instead of figures: the
    cases after it still run."""
    load = round(os.getloadavg()[0], 2)  # before we make it ourselves
    try:
        figures = case_of(name)(settings)
    except Absent as reason:
        figures = {"skipped": str(reason)}
    except Failed as reason:
        figures = {"failed": str(reason)}
    except Exception as error:
        figures = {"failed": told_of(error)}
    ran_on = {"scale": settings.scale, "runs": settings.runs, "versions": _versions(), "machine": machine(load)}
    return {"case": name, **figures, **ran_on}


def machine(load: float) -> Figures:
    return {"cpu": _cpu(), "cores": os.cpu_count(), "architecture": platform.machine(), "load_before": load}


def line(figures: Figures) -> str:
    """One case for a person."""
    name = f"{figures['case']:<18}"
    for why in ("skipped", "failed"):
        if why in figures:
            return f"{name} {why}: {str(figures[why]).splitlines()[0]}"
    number, unit = headline(figures)
    parts = [f"{number:>14,} {unit:<11}"]
    parts += [f"{ratio} x {peer}" for peer, ratio in figures.get("ratio", {}).items()]
    parts += [f"{figures['rss_mb']:,} MB"] if "rss_mb" in figures else []
    parts += [f"without {peer}: {reason}" for peer, reason in figures.get("absent", {}).items()]
    return f"{name} {'   '.join(parts)}"


def headline(figures: Figures) -> tuple[float, str]:
    """The figure that speaks for the case, and its unit."""
    if isinstance(us := figures.get("us"), dict):
        return us[OURS], "us"
    known = next((name for name in UNITS if name in figures), None)
    if known is not None:
        return figures[known], UNITS[known]
    return next(
        ((value, name) for name, value in figures.items() if isinstance(value, int | float)), (float("nan"), "")
    )


def _say(what: str) -> None:
    """What a person waits for, in the terminal's last line."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is not a positive whole number")
    return int(text)


def _positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value
