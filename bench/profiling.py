"""`python -m bench.profiling CASE [--scale F] [--story S] [--lines N] [--modules]`: where ours spends its time.

Linux `perf` samples one timed turn, without getting ready, and the functions are listed, the dearest first: C functions
of `ext/` by their Cython names (`take_row`, `push`), the interpreter's by theirs. What it prints can go into a commit
message. `--modules` sums them up by compiled module; `--annotate NAME` shows the machine code of one function.

Needs perf (Debian: linux-perf) and /proc/sys/kernel/perf_event_paranoid at 2 or less, or root.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from bench import event, speed, state
from bench.floor import Floor, cartons_for
from bench.measure import Turn
from bench.settings import Settings
from bench.workload import STORIES, floor_story, story
from engine.pauses import short_pauses

HERTZ = 5_000
WARM_UP, MEASURED = 0, 1
_CYTHON = re.compile(r"__pyx_(?:f|pf|pw)_(?=\d)")


def contestants(settings: Settings) -> dict[str, Callable[[], Turn]]:
    """Ours, by case."""
    told = partial(story, settings.story, settings.scale)
    return {
        "decode.ndjson": lambda: speed.decode_ours(told()),
        "core.ndjson": lambda: speed.core_ndjson_ours(told()),
        "core.columns": lambda: speed.core_columns_ours(told()),
        "core.event": lambda: event.closes(settings.size(event.SIZE, 10)),
        "core.open_windows": lambda: state.beside_idle(
            settings.size(state.WINDOWS[-1], 10),
            floor_story(Floor(cartons_for(2 * settings.size(state.SEGMENT_RECORDS)))),
            2,
        ),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.profiling", description="Where a case spends its time.")
    parser.add_argument("case", choices=contestants(Settings()))
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--story", choices=STORIES, default="floor")
    parser.add_argument("--lines", type=int, default=25, help="how many functions (25)")
    parser.add_argument("--modules", action="store_true", help="sums of compiled modules instead of functions")
    parser.add_argument("--annotate", metavar="NAME", help="the machine code of a function whose name contains this")
    parser.add_argument("--turn", type=Path, help=argparse.SUPPRESS)  # the sampled process's own: folder of the pipes
    args = parser.parse_args(arguments)
    settings = Settings(scale=args.scale, story=args.story)
    if args.turn is not None:
        _turn(contestants(settings)[args.case](), args.turn)
        return 0
    if shutil.which("perf") is None:
        print("bench.profiling: perf is not installed (Debian: linux-perf)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="sortline-perf-") as name:
        return _sampled(Path(name), arguments, args)


def _sampled(folder: Path, arguments: list[str], args: argparse.Namespace) -> int:
    for pipe in ("control", "ack"):
        os.mkfifo(folder / pipe)
    control = f"--control=fifo:{folder}/control,{folder}/ack"
    data = str(folder / "perf.data")
    record = ["perf", "record", "--quiet", "-e", "cpu-clock:u", "-F", str(HERTZ), "-D", "-1", control, "-o", data, "--"]
    own = [sys.executable, "-m", "bench.profiling", *arguments, "--turn", str(folder)]
    done = subprocess.run([*record, *own], stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    if done.returncode:
        print(f"bench.profiling: perf record ended with {done.returncode}", file=sys.stderr)
        return 1
    rows = _rows(_output("perf", "report", "--stdio", "--quiet", "-i", data, "-F", "overhead,sym,dso", "-t", "|"))
    if args.annotate:
        symbols = [row.symbol for row in rows if args.annotate in row.name]
        print(
            _output("perf", "annotate", "--stdio", "--quiet", "-i", data, symbols[0]) if symbols else "no such function"
        )
        return 0
    if args.modules:
        for place, share in _by_module(rows)[: args.lines]:
            print(f"{share:6.2f}%  {place}")
        return 0
    for row in rows[: args.lines]:
        print(f"{row.share:>7}  {row.name:<44} {row.place}")
    return 0


class Row(NamedTuple):
    """share: of all samples, as perf says it; symbol: as the linker knows it; name: as its author does."""

    share: str
    symbol: str
    name: str
    place: str


def _rows(table: str) -> list[Row]:
    found = []
    for line in table.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) >= 3:
            symbol = columns[1].removeprefix("[.]").removeprefix("[k]").strip()
            found.append(Row(columns[0], symbol, readable(symbol), columns[2].partition(".")[0]))
    return found


def _by_module(rows: list[Row]) -> list[tuple[str, float]]:
    shares: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        shares[row.place] += float(row.share.rstrip("%"))
    return sorted(shares.items(), key=lambda each: -each[1])


def readable(symbol: str) -> str:
    """`__pyx_f_3ext_6timers_6Timers_pop` is `timers.Timers.pop`: Cython writes each name's length before it."""
    match = _CYTHON.match(symbol)
    if match is None:
        return symbol
    rest, parts = symbol[match.end() :], []
    while (length := re.match(r"(\d+)", rest)) and len(rest) > int(length.group(1)) + len(length.group(1)):
        begin = len(length.group(1))
        parts.append(rest[begin : begin + int(length.group(1))])
        rest = rest[begin + int(length.group(1)) :].removeprefix("_")
    return ".".join([*(part for part in parts if part != "ext"), rest])


def _turn(turn: Turn, folder: Path) -> None:
    """A warm-up, then a turn, each step between `enable` and `disable`: what comes between steps is not the job."""
    with short_pauses(), (folder / "control").open("w") as control, (folder / "ack").open() as ack:
        for step in turn(WARM_UP):
            step()
        for step in turn(MEASURED):
            _say(control, ack, "enable")
            step()
            _say(control, ack, "disable")


def _say(control: TextIO, ack: TextIO, command: str) -> None:
    control.write(f"{command}\n")
    control.flush()
    ack.readline()


def _output(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
