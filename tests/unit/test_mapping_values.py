"""Values: exact, integer, rounded half to even, and nothing that cannot be one gets through."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.mapping.values import INT_MAX, UNITS, Unfit, bits, boolean, integer, scaled, text, texts, time_us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.5, "kg", 1500),
        (Decimal("0.0125"), "kg", 12),  # 12.5: half to even
        (Decimal("0.0135"), "kg", 14),  # 13.5
        ("2.2", "lb", 998),
        (1, "lb", 454),
        (16, "oz", 454),
        (12, "in", 305),
        (Decimal("1.2345"), "m", 1234),
        (0.1, "kg", 100),
        (30, "cm", 300),
        (250, "ms", 250_000),
        ("1.5", "s", 1_500_000),
    ],
)
def test_units_become_the_canonical_ones(value: object, unit: str, expected: int) -> None:
    assert scaled(value, UNITS[unit]) == expected


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6), st.integers(1, 10**6))
def test_scaling_is_exact_and_rounds_half_to_even(value: int, top: int, bottom: int) -> None:
    factor = Fraction(top, bottom)
    found = scaled(value, factor)
    distance = abs(found - value * factor)
    assert distance <= Fraction(1, 2)
    assert distance < Fraction(1, 2) or found % 2 == 0


@given(st.floats())
def test_a_float_is_the_decimal_that_it_prints_as_or_does_not_fit(value: float) -> None:
    try:
        found = scaled(value, Fraction(1000))
    except Unfit:
        assert not math.isfinite(value) or abs(value) > 1e15 or abs(value) < 1e-30
    else:
        assert found == round(Fraction(repr(value)) * 1000)


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        "",
        "12a",
        "0x10",
        "1e9",
        "١٢x",
        "١٢",
        "７",
        math.nan,
        math.inf,
        -math.inf,
        Decimal("1e999999999"),
        Decimal("NaN"),
        1.5,
        "1.5",
        INT_MAX + 1,
        [1],
        {"a": 1},
        b"1",
    ],
)
def test_what_is_no_whole_number_does_not_fit(value: object) -> None:
    with pytest.raises(Unfit):
        integer(value)


@pytest.mark.parametrize(
    ("value", "expected"), [(3.0, 3), ("17", 17), (" 17\0\0", 17), (Decimal("1E+3"), 1000), (-4, -4)]
)
def test_whole_numbers_in_any_spelling(value: object, expected: int) -> None:
    assert integer(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("T 1", "T 1"), (4711, "4711"), (12.0, "12")])
def test_texts_and_whole_numbers_are_texts(value: object, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize("value", [True, 1.5, None, [], b"x"])
def test_what_is_no_text_does_not_fit(value: object) -> None:
    with pytest.raises(Unfit):
        text(value)


@given(st.integers(0, 2**64 - 1 >> 1), st.integers(0, 62), st.integers(1, 32))
def test_bits_are_a_shift_and_a_mask(value: int, first: int, width: int) -> None:
    assert bits(value, first, width) == (value // 2**first) % 2**width


@pytest.mark.parametrize(("value", "expected"), [(True, True), (0, False), (1, True), ("false", False), ("1", True)])
def test_booleans(value: object, expected: bool) -> None:
    assert boolean(value) is expected


@pytest.mark.parametrize("value", [2, "yes", None, [], 0.5])
def test_what_is_no_boolean_does_not_fit(value: object) -> None:
    with pytest.raises(Unfit):
        boolean(value)


def test_a_list_of_texts_is_trimmed_and_has_no_empty_ones() -> None:
    assert texts(["A\r\n", "  ", 17]) == ["A", "17"]


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        (1_700_000_000, "epoch_s", 1_700_000_000_000_000),
        ("1700000000.25", "epoch_s", 1_700_000_000_250_000),
        (Decimal("1700000000123.4565"), "epoch_ms", 1_700_000_000_123_456),
        (1_700_000_000_123_456, "epoch_us", 1_700_000_000_123_456),
        ("2023-11-14T22:13:20Z", "rfc3339", 1_700_000_000_000_000),
        ("2023-11-14t22:13:20.5z", "rfc3339", 1_700_000_000_500_000),
        ("2023-11-15 03:43:20.123456789+05:30", "rfc3339", 1_700_000_000_123_457),
        ("2016-12-31T23:59:60Z", "rfc3339", 1_483_228_800_000_000),
    ],
)
def test_time_formats(value: object, form: str, expected: int) -> None:
    assert time_us(value, form) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2023-11-14T22:13:20",
        "2023-11-14",
        "2023-02-30T00:00:00Z",
        "2023-11-14T25:00:00Z",
        "2023-11-14T22:13:20+25:00",
        "2023-11-14T22:13:20+05:60",
        "20231114T221320Z",
        "yesterday",
        "",
        1_700_000_000,
        None,
    ],
)
def test_what_is_no_rfc3339_time_does_not_fit(value: object) -> None:
    with pytest.raises(Unfit):
        time_us(value, "rfc3339")


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),
    st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_rfc3339_time_is_its_microseconds(moment: datetime, zone: Any) -> None:
    aware = moment.replace(tzinfo=zone)
    assert time_us(aware.isoformat(), "rfc3339") == (aware - EPOCH) // timedelta(microseconds=1)
