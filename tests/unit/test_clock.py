"""The clock that stamps records never goes back and never stands, whatever is done to the box's."""

from __future__ import annotations

import pytest

from engine.clock import SteadyClock

SECOND = 1_000_000
HOUR = 3_600 * SECOND


class Box:
    """Its wall clock, and how long it has run."""

    def __init__(self) -> None:
        self.wall_us = 1_000 * HOUR
        self.ran_ns = 0
        self.clock = SteadyClock(lambda: self.wall_us, lambda: self.ran_ns)

    def passes(self, us: int) -> int:
        self.wall_us += us
        self.ran_ns += 1_000 * us
        return self.clock()


def test_it_is_the_wall_clock_as_long_as_nobody_sets_that_back() -> None:
    box = Box()
    assert box.passes(5 * SECOND) == box.wall_us
    box.wall_us += HOUR
    assert box.passes(1) == box.wall_us


def test_i6_set_back_it_runs_on_at_half_speed_until_that_is_caught_up(caplog: pytest.LogCaptureFixture) -> None:
    box = Box()
    before = box.passes(HOUR)
    box.wall_us -= HOUR
    assert box.passes(20 * SECOND) == before + 10 * SECOND
    assert [box.passes(1) for _ in range(4)] == [before + 10 * SECOND + n for n in (0, 1, 1, 2)]
    assert box.passes(3 * HOUR) == box.wall_us
    assert box.passes(SECOND) == box.wall_us
    assert caplog.text.count("the wall clock is 3590 s behind what was stamped before") == 1


def test_i6_what_an_earlier_run_has_stamped_is_not_stamped_again() -> None:
    box = Box()
    box.clock.pass_to(box.wall_us + HOUR)
    assert box.passes(20 * SECOND) == 1_001 * HOUR + 10 * SECOND
    box.clock.pass_to(box.wall_us)
    assert box.passes(20 * SECOND) == 1_001 * HOUR + 20 * SECOND
