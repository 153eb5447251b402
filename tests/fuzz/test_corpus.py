"""What the fuzzer found worth keeping, replayed: no exception, no invariant broken, and no memory kept."""

from __future__ import annotations

import ctypes
import gc
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz.harness import TARGETS
from tests.heap import heap

CORPUS = Path(__file__).parent / "corpus"
CASES = Path(__file__).parents[1] / "cases"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
WARM_UPS, REPEATS = 5, 15


def test_there_is_a_corpus_for_each_target() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name[:12]}")
def test_input_of_the_corpus(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


def test_a_case_cut_at_any_byte_is_taken_as_far_as_it_goes() -> None:
    data = (CASES / "R52_ready_reopened_ready_again" / "input.ndjson").read_bytes()
    for cut in range(0, len(data), 37):
        TARGETS["feed"](data[:cut])


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_kept_of_what_was_taken(target: str) -> None:
    """After the first rounds neither Python nor malloc has more: less than one block, less than 64 bytes a round."""
    inputs = [path.read_bytes() for path in INPUTS if path.parent.name == target]
    blocks, kept_bytes = kept_of(lambda: [TARGETS[target](data) for data in inputs])
    assert blocks < REPEATS
    assert kept_bytes < REPEATS * 64


def test_a_few_bytes_that_are_lost_each_time_are_found() -> None:
    kept: list[bytes] = []
    blocks, _ = kept_of(lambda: kept.append(bytes(50)))
    assert blocks >= REPEATS
    lose = ctypes.pythonapi.PyMem_RawMalloc
    lose.argtypes, lose.restype = [ctypes.c_size_t], ctypes.c_void_p
    _, kept_bytes = kept_of(lambda: lose(100))
    assert kept_bytes >= REPEATS * 100


def kept_of(round_: Callable[[], object]) -> tuple[int, int]:
    """Python's blocks and malloc's bytes that REPEATS rounds leave behind: the least of three times, for a cache that
    happens to fill is no leak."""

    def after(rounds: int) -> tuple[int, int]:
        for _ in range(rounds):
            round_()
        gc.collect()
        of_malloc = heap()
        return sys.getallocatedblocks(), of_malloc.uordblks + of_malloc.hblkhd

    states = [after(WARM_UPS), *(after(REPEATS) for _ in range(3))]
    grown = [(now[0] - before[0], now[1] - before[1]) for before, now in itertools.pairwise(states)]
    return min(blocks for blocks, _ in grown), min(size for _, size in grown)
