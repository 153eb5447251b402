"""Counters that wrap are counted on, whatever comes twice or out of order, and across a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.mapping.sequence import BACK_SHARE, Sequences, Unwrapper

MODULI = st.sampled_from([4, 16, 100, 256, 65_536, 2**32])


def test_255_is_followed_by_256() -> None:
    counter = Unwrapper(256)
    assert [counter.unwrap(raw) for raw in (254, 255, 0, 1)] == [254, 255, 256, 257]


@given(MODULI, st.integers(0, 2**40), st.data())
def test_any_true_numbers_with_jumps_repetitions_and_disorder_come_back(
    modulus: int, first: int, data: st.DataObject
) -> None:
    back = modulus // BACK_SHARE
    counter = Unwrapper(modulus, first)
    greatest = first
    for _ in range(30):
        true = greatest + data.draw(st.integers(-min(back, greatest), modulus - back - 1))
        assert counter.unwrap(true % modulus) == true
        greatest = max(greatest, true)


def test_what_lies_before_the_first_number_ever_has_none() -> None:
    counter = Unwrapper(256)
    assert [counter.unwrap(raw) for raw in (3, 250, 4)] == [3, None, 4]


@pytest.mark.parametrize("raw", [-1, 256, 1000])
def test_a_number_that_the_counter_cannot_show_is_refused(raw: int) -> None:
    with pytest.raises(ValueError, match="wrap"):
        Unwrapper(256).unwrap(raw)


def test_a_restart_goes_on_counting_in_the_same_epoch_only() -> None:
    counters = Sequences({"dc1/pick/A": (2, 1023)}.get)
    assert counters.unwrap("dc1/pick/A", 2, 0, 256) == 1024
    assert counters.unwrap("dc1/pick/A", 3, 0, 256) == 0
    assert counters.unwrap("dc1/pick/B", 2, 0, 256) == 0


def test_devices_do_not_disturb_each_other_and_the_table_is_bounded() -> None:
    asked: list[str] = []

    def position(src: str) -> tuple[int, int] | None:
        asked.append(src)
        return (0, 500) if src == "A" else None

    counters = Sequences(position, counters_max=2)
    assert [counters.unwrap(src, 0, 245, 256) for src in ("A", "B", "A", "C", "B")] == [501, 245, 501, 245, 245]
    assert asked == ["A", "B", "C", "B"]
