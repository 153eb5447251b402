"""Large blocks come from the system and go back to it, whatever was freed before."""

from __future__ import annotations

import subprocess
import sys

import pytest

STORY = """
import sys
from engine.large_blocks import give_back_large_blocks
from tests.heap import heap

if sys.argv[1] == "given back":
    give_back_large_blocks()
for _ in range(3):
    bytearray(8 << 20)  # and with it glibc's border grows to 8 MiB
block = bytearray(4 << 20)
print(heap().hblkhd >> 20)
"""


@pytest.mark.parametrize("how, by_itself_mib", [("given back", 4), ("as glibc does", 0)])
def test_a_block_of_some_mib_is_no_part_of_a_heap(how: str, by_itself_mib: int) -> None:
    said = subprocess.run([sys.executable, "-c", STORY, how], capture_output=True, text=True, check=True).stdout
    assert (int(said) >= 4) == (by_itself_mib >= 4), said
