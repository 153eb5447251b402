"""What the registers of many units show, and which of them changed: against plain Python over the same bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.modbus_image import RegisterImage


def settled(rows: int, watched: bytes) -> RegisterImage:
    image = RegisterImage(rows, watched)
    for row in range(rows):
        image.seen(row)
    return image


def test_every_row_begins_as_changed() -> None:
    image = RegisterImage(3, b"\1\1")
    assert image.changed().tolist() == [0, 1, 2]
    image.seen(1)
    assert image.changed().tolist() == [0, 2]


def test_only_a_watched_column_makes_a_change_and_it_stays_until_it_was_seen() -> None:
    image = settled(4, b"\0\1\0")
    assert not image.store(2, 0, struct.pack(">3H", 7, 0, 9))
    assert image.now[2].tolist() == [7, 0, 9]
    assert image.store(2, 1, struct.pack(">H", 500))
    # back again: somebody has to look all the same
    assert image.store(2, 1, struct.pack(">H", 0))
    assert image.changed().tolist() == [2]
    image.seen(2)
    assert image.changed().size == 0
    image.unsettle(3)
    assert image.changed().tolist() == [3]


def test_bits_are_columns_of_0_and_1() -> None:
    image = settled(1, bytes(10))
    image.store_bits(0, 0, b"\x05\x02", 10)
    assert image.now[0].tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(("row", "column", "count"), [(2, 0, 1), (-1, 0, 1), (0, 3, 1), (0, -1, 1), (0, 2, 2)])
def test_what_does_not_fit_in_is_refused(row: int, column: int, count: int) -> None:
    image = RegisterImage(2, b"\1\1\1")
    with pytest.raises(IndexError):
        image.store(row, column, bytes(2 * count))
    with pytest.raises(IndexError):
        image.store_bits(row, column, bytes(1), count)
    with pytest.raises(IndexError):
        image.store_bits(0, 0, bytes(1), 9)


@given(st.data(), st.integers(1, 5), st.integers(1, 9))
def test_the_difference_is_that_of_plain_python(data: st.DataObject, rows: int, columns: int) -> None:
    watched = data.draw(st.lists(st.booleans(), min_size=columns, max_size=columns))
    image = settled(rows, bytes(watched))
    shown = [[0] * columns for _ in range(rows)]
    changed: set[int] = set()
    for _ in range(data.draw(st.integers(0, 12))):
        row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
        words = data.draw(st.lists(st.integers(0, 3), max_size=columns - column))
        differs = any(watched[column + at] and shown[row][column + at] != word for at, word in enumerate(words))
        if differs:
            changed.add(row)
        shown[row][column : column + len(words)] = words
        assert image.store(row, column, struct.pack(f">{len(words)}H", *words)) == (row in changed)
    assert image.now.tolist() == shown
    assert image.changed().tolist() == sorted(changed)
