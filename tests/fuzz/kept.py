"""What rounds of a job leave behind in memory. `python -m tests.fuzz.kept TARGET`: of the target's corpus, in a process
in which nothing else has run and nobody keeps what it logs."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median_low

from tests.fuzz.harness import TARGETS
from tests.heap import heap

CORPUS = Path(__file__).parent / "corpus"
WARM_UPS, REPEATS, TIMES = 80, 15, 6  # of OPC UA some hash seeds fill dicts for 65 rounds


def kept_of(round_: Callable[[], object]) -> tuple[int, int]:
    """Python's blocks and malloc's bytes that REPEATS rounds leave behind: the median of TIMES, for a cache that
    happens to fill is no leak, and a leak is there each time."""

    def after(rounds: int) -> tuple[int, int]:
        for _ in range(rounds):
            round_()
        gc.collect()
        of_malloc = heap()
        return sys.getallocatedblocks(), of_malloc.uordblks + of_malloc.hblkhd

    states = [after(WARM_UPS), *(after(REPEATS) for _ in range(TIMES))]
    grown = [(now[0] - before[0], now[1] - before[1]) for before, now in itertools.pairwise(states)]
    return median_low(blocks for blocks, _ in grown), median_low(size for _, size in grown)


if __name__ == "__main__":
    take = TARGETS[sys.argv[1]]
    inputs = [path.read_bytes() for path in sorted((CORPUS / sys.argv[1]).iterdir()) if path.is_file()]
    print(*kept_of(lambda: [take(data) for data in inputs]))
