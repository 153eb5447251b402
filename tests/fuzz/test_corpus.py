"""What the fuzzer found worth keeping, replayed: no exception, no invariant broken, and no memory kept."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.harness import TARGETS
from tests.fuzz.kept import CORPUS, REPEATS, kept_of

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
INPUTS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


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
    # What a thread keeps at hand of freed memory is in use to malloc's count: it is told to keep none.
    env = os.environ | {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
    command = [sys.executable, "-m", "tests.fuzz.kept", target]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    blocks, kept_bytes = map(int, done.stdout.split())
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
