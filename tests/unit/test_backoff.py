"""The pause before the next attempt to connect."""

from __future__ import annotations

import pytest

from protocols.backoff import STABLE_S, Backoff


@pytest.mark.parametrize(
    ("chance", "pauses_s"),
    [(0.0, [0.1, 0.1, 0.1, 0.1, 0.1]), (0.5, [0.15, 0.25, 0.45, 0.55, 0.55]), (1.0, [0.2, 0.4, 0.8, 1.0, 1.0])],
)
def test_no_pause_is_shorter_than_the_least_and_their_bound_doubles(chance: float, pauses_s: list[float]) -> None:
    backoff = Backoff(100, 1_000, lambda: chance)
    assert [backoff.pause_s() for _ in pauses_s] == pytest.approx(pauses_s)
    backoff.reset()
    assert backoff.pause_s() == pytest.approx(pauses_s[0])


@pytest.mark.parametrize(("stood_s", "next_s"), [(STABLE_S, 0.8), (STABLE_S + 0.1, 0.2)])
def test_after_a_connection_that_stood_the_pauses_begin_anew(stood_s: float, next_s: float) -> None:
    backoff = Backoff(100, 1_000, lambda: 1.0)
    backoff.pause_s()
    backoff.pause_s()
    backoff.ended_after(stood_s)
    assert backoff.pause_s() == pytest.approx(next_s)
