"""Large blocks come from the system and go back to it, whatever was freed before; a group's pages are kept."""

from __future__ import annotations

import subprocess
import sys

import pytest

LARGE = """
import sys
from engine.malloc_borders import set_malloc_borders
from tests.heap import heap

if sys.argv[1] == "set":
    set_malloc_borders()
for _ in range(3):
    bytearray(8 << 20)  # and with it glibc's border grows to 8 MiB
block = bytearray(4 << 20)
print(heap().hblkhd >> 20)
"""

GROUPS = """
import resource, sys
from engine.malloc_borders import set_malloc_borders

if sys.argv[1] == "set":
    set_malloc_borders()
bytearray(500_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    bytearray(500_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

THREADS = """
import sys, threading
from engine.malloc_borders import set_malloc_borders
from tests.heap import heap

if sys.argv[1] == "set":
    set_malloc_borders()
all_at_once = threading.Barrier(8)

def work():
    all_at_once.wait()  # so that each is in a heap of its own, where there are such
    [bytearray(500_000) for _ in range(7)]
    all_at_once.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(heap().fordblks >> 20)
"""


def said(story: str, how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", story, how], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("how, by_itself", [("set", True), ("as glibc does", False)])
def test_a_block_of_some_mib_is_no_part_of_a_heap(how: str, by_itself: bool) -> None:
    assert (said(LARGE, how) >= 4) == by_itself


@pytest.mark.parametrize("how, kept", [("set", True), ("as glibc does", False)])
def test_the_pages_of_a_group_are_brought_once(how: str, kept: bool) -> None:
    assert (said(GROUPS, how) < 100) == kept


def test_what_threads_keep_does_not_grow_with_their_number() -> None:
    assert said(THREADS, "set") <= 10
