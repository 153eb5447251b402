"""Timing of cases: every contestant gets the same chunks, in turns, and the median of its runs counts."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from engine.pauses import short_pauses

Chunk = TypeVar("Chunk")
Contestant = Callable[[], Callable[[Chunk], object]]
"""Sets up one run and returns the step that is timed, once a chunk."""


class Timing(NamedTuple):
    """`run_s`: the median run; `p50_ms`, `p99_ms`: of one chunk, over all runs."""

    run_s: float
    p50_ms: float
    p99_ms: float


def race(contestants: Mapping[str, Contestant[Chunk]], chunks: Sequence[Chunk], runs: int) -> dict[str, Timing]:
    """One warm-up each, then `runs` rounds of everybody in turn, so that a slow minute is everybody's.

    For everybody without full garbage collections, as in `run` and `replay`.
    """
    times: dict[str, list[list[float]]] = {name: [] for name in contestants}
    with short_pauses():
        for turn in range(runs + 1):
            for name, set_up in contestants.items():
                spent = _run(set_up(), chunks)
                if turn:
                    times[name].append(spent)
    return {name: _timing(spent) for name, spent in times.items()}


def _run(step: Callable[[Chunk], object], chunks: Sequence[Chunk]) -> list[float]:
    spent = []
    gc.collect()
    for chunk in chunks:
        before = time.perf_counter()
        step(chunk)
        spent.append(time.perf_counter() - before)
    return spent


def _timing(runs: list[list[float]]) -> Timing:
    each = sorted(seconds for run in runs for seconds in run)
    return Timing(
        statistics.median(sum(run) for run in runs),
        1000 * statistics.median(each),
        1000 * each[min(len(each) - 1, int(0.99 * len(each)))],
    )
