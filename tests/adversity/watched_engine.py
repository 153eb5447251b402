"""`sortline run`, in a process that writes down every few seconds how much memory it has, and what for.

python -m tests.adversity.watched_engine SITE.toml SAMPLES.ndjson EVERY_S
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

from engine import run, told_ids
from engine.app import Engine
from ext.core import Core
from tests.heap import heap

MB = 1 << 20


def resident_mb(name: str) -> float:
    """VmRSS or RssAnon of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def sample(engine: Engine) -> dict[str, Any]:
    """rss_mb, anonymous_mb: what the system gave; used_mb, free_mb: of what malloc has; mapped_mb: what it has by mmap;
    blocks: small objects of Python; state_mb: what the rules know, windows and names."""
    of_malloc = heap()
    core = cast(Core, engine._pipeline._recovery.slicer.core)
    sources = engine.metrics.sources.values()
    return {
        "rss_mb": round(resident_mb("VmRSS"), 3),
        "anonymous_mb": round(resident_mb("RssAnon"), 3),
        "used_mb": round(of_malloc.uordblks / MB, 3),
        "free_mb": round(of_malloc.fordblks / MB, 3),
        "mapped_mb": round(of_malloc.hblkhd / MB, 3),
        "blocks": sys.getallocatedblocks(),
        "state_mb": round(core.state_bytes() / MB, 3),
        "windows": sum(engine.metrics.core.windows.values()),
        "records": sum(source.records for source in sources),
        "refused": sum(source.faulty for source in sources),
        "events": engine.metrics.emitted,
    }


class Watched(Engine):
    """Writes its samples to `out`, in a thread."""

    out: Path
    every_s: float

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        threading.Thread(target=self._watch, daemon=True, name="samples").start()

    def _watch(self) -> None:
        began_s = time.monotonic()
        with self.out.open("w", buffering=1) as out:
            for number in itertools.count():
                time.sleep(max(0.0, began_s + number * self.every_s - time.monotonic()))
                print(json.dumps({"t_s": number * self.every_s, **sample(self)}), file=out)


def collect(number: int, frame: object) -> None:
    """What only a full collection finds: a busy engine does without them for a quarter of an hour."""
    before, began_s = sys.getallocatedblocks(), time.perf_counter()
    found = gc.collect()
    took_ms = 1_000 * (time.perf_counter() - began_s)
    freed = before - sys.getallocatedblocks()
    print(f"collected: {found} objects, {freed} blocks, in {took_ms:.1f} ms", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("every_s", type=float)
    args = parser.parse_args()
    Watched.out, Watched.every_s = args.out, args.every_s
    signal.signal(signal.SIGUSR1, collect)
    vars(run)["Engine"] = Watched
    # the ids that were told take up to 5 MB before they are packed: it would hide everything else for an hour
    told_ids.FRESH_MAX = 512
    return run.run(argparse.Namespace(site=args.site, seconds=None, plain=True, log_level="info"))


if __name__ == "__main__":
    sys.exit(main())
