"""What the fuzzer found worth keeping, replayed: no exception, no invariant broken, and no memory kept."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from bench.measure import rss_mb
from tests.fuzz.harness import TARGETS

CORPUS = Path(__file__).parent / "corpus"
CASES = Path(__file__).parents[1] / "cases"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
REPEATS, KEPT_MB_MAX = 40, 8


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
    """After the first rounds memory does not grow any more."""
    inputs = [path.read_bytes() for path in INPUTS if path.parent.name == target]

    def rounds(count: int) -> float:
        for _ in range(count):
            for data in inputs:
                TARGETS[target](data)
        gc.collect()
        return rss_mb()

    before = rounds(5)
    assert rounds(REPEATS) - before < KEPT_MB_MAX
