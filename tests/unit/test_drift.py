"""What a drift run says of its samples."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.adversity.drift import broken, growth_mb_an_hour, page, too_much

NAMES = (
    "rss_mb",
    "anonymous_mb",
    "used_mb",
    "free_mb",
    "mapped_mb",
    "blocks",
    "state_mb",
    "records",
    "refused",
    "events",
)


def samples(mb_an_hour: float) -> list[dict[str, Any]]:
    """Half an hour of which the first half is a start."""
    found: list[dict[str, Any]] = []
    for t_s in range(0, 1_800, 5):
        grown = min(t_s, 900) / 20 + max(0, t_s - 900) / 3_600 * mb_an_hour
        found.append(dict.fromkeys(NAMES, 90 + grown) | {"t_s": t_s, "state_mb": 0})
    return found


def test_the_start_does_not_count() -> None:
    assert growth_mb_an_hour(samples(0)) == pytest.approx(0)
    assert growth_mb_an_hour(samples(12.5)) == pytest.approx(12.5)


def test_a_run_that_shows_the_start_alone_is_not_judged() -> None:
    assert too_much(12.5, minutes=30) and not too_much(7.5, minutes=30)
    assert not too_much(60.3, minutes=5)


def test_the_page_says_how_much() -> None:
    said = page(samples(12.5))
    assert "+12.50 MB an hour" in said and said.count("<svg") == 4


def test_what_is_broken_is_not_what_it_was() -> None:
    draw, payload = random.Random(1), b'{"ty":"C","n":17,"boot":1795420800,"ts":1795420812345,"job":"T-1001"}'
    assert all(broken(payload, draw) != payload for _ in range(500))
