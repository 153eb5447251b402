"""Names are chosen by whoever sends them: those that are made to collide cost at most twice what others do, and so do
those that count up, whatever the key is.

Counted in slots that a search walks over, not timed. The hash of a text depends on a key of the table.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from ext.texts import Texts

COUNT = 2_000  # nearly half of the table's 4 096 slots: it grows beyond that
KEYS = 500
WORD = 2**64 - 1
SECRET, STIRRING = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93


def hash_without_a_key(text: bytes) -> int:
    """What `ext/texts.pyx:mix` makes of a text of 16 bytes where the key is 0."""
    h = len(text)
    for at in (0, 8):
        h = fold(h ^ int.from_bytes(text[at : at + 8], "little"), SECRET)
    return fold(h, STIRRING)


def fold(a: int, b: int) -> int:
    return (a * b ^ a * b >> 64) & WORD


def colliding() -> Iterator[str]:
    """Without a key they would all want one slot in 256 of the table."""
    for n in itertools.count():
        if hash_without_a_key(b"%016d" % n) & 0xFF == 0x5A:
            yield f"{n:016d}"


def numbered() -> Iterator[str]:
    """As tasks and totes are."""
    return (f"T-{n:08d}" for n in itertools.count())


def strided() -> Iterator[str]:
    """They differ in their first bytes alone."""
    return (f"{n:08d}" + "-" * 24 for n in range(0, 10**8, 4_096))


def repeated() -> Iterator[str]:
    """Every word of a text is the same."""
    return (f"{n:08d}" * 4 for n in itertools.count())


def cost(texts: Iterator[str]) -> int:
    """Slots that are looked at to find each of them once."""
    table = Texts()
    for text in itertools.islice(texts, COUNT):
        table.number(text)
    assert len(table) == COUNT + 1
    return COUNT + table.steps()


@pytest.mark.parametrize("crafted", [colliding, numbered, strided, repeated])
def test_crafted_names_cost_at_most_twice_what_others_do(crafted: Callable[[], Iterator[str]]) -> None:
    assert cost(crafted()) <= 2 * cost(others())


def test_names_that_count_up_cost_at_most_twice_what_others_do_under_any_key() -> None:
    names = list(itertools.islice(numbered(), COUNT))
    assert max(cost(iter(names)) for _ in range(KEYS)) <= 2 * cost(others())


def others() -> Iterator[str]:
    draw = random.Random(7)
    return (f"{draw.randrange(10**16):016d}" for _ in itertools.count())


def test_the_colliding_names_would_cost_much_more_without_a_key() -> None:
    table: set[int] = set()
    walked = 0
    for text in itertools.islice(colliding(), COUNT):
        at = hash_without_a_key(text.encode()) & 0xFFF
        while at in table:
            at, walked = (at + 1) & 0xFFF, walked + 1
        table.add(at)
    assert walked > 20 * COUNT
