"""When polls are due, and which of them goes first. Time is an argument."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

import pytest
import uvloop

from protocols.modbus.agenda import Agenda
from protocols.modbus.alarm import Alarm, _next_tick
from protocols.modbus.polling import Poll
from protocols.modbus.timing import CATCH_UP_MAX, PollClass, following
from protocols.modbus.unit import Job, UnitState


class TimedPoll:
    """As much of a poll as the agenda looks at."""

    def __init__(self, timing: PollClass) -> None:
        self.timing = timing


def job(poll_ms: int = 100, due: float = 0.0, **options: Any) -> Job:
    made = Job(cast(UnitState, None), cast(Poll, TimedPoll(PollClass(poll_ms=poll_ms, **options))))
    made.set_due(due)
    return made


def taken(agenda: Agenda, now: float) -> list[Job]:
    found = []
    while (each := agenda.take(now)) is not None:
        found.append(each)
    return found


@pytest.mark.parametrize(
    ("catch_up", "now", "next_due"),
    [
        ("once", 10.0, 10.1),  # in time: the regular beat
        ("once", 10.05, 10.1),
        ("once", 10.37, 10.37),  # three missed: one at once
        ("skip", 10.05, 10.1),
        ("skip", 10.37, 10.4),  # none of the three, and the beat is kept
        ("all", 10.37, 10.1),  # each of the three
        ("all", 100.0, 100.0 - CATCH_UP_MAX * 0.1),  # but not for ever
    ],
)
def test_what_becomes_of_polls_that_were_missed(catch_up: Any, now: float, next_due: float) -> None:
    assert following(PollClass(poll_ms=100, catch_up=catch_up), 10.0, now) == pytest.approx(next_due)


def test_all_missed_polls_are_made_up_for_one_by_one() -> None:
    timing = PollClass(poll_ms=100, catch_up="all")
    due, polls = 10.0, 0
    while due <= 10.5:
        due, polls = following(timing, due, 10.5), polls + 1
    assert polls == 6


def test_of_what_is_due_the_earliest_deadline_goes_first() -> None:
    slow = job(1_000, due=0.0, deadline_ms=5_000)
    fast = job(20, due=0.5)
    later = job(20, due=2.0)
    agenda = Agenda()
    for each in (slow, later, fast):
        agenda.put(each)
    assert taken(agenda, 1.0) == [fast, slow]
    assert agenda.next_due() == 2.0
    assert taken(agenda, 2.0) == [later]
    assert agenda.next_due() is None


def test_a_job_whose_time_changed_is_taken_once_at_its_new_time() -> None:
    agenda, moved = Agenda(), job(due=1.0)
    agenda.put(moved)
    moved.set_due(3.0)
    agenda.put(moved)
    assert taken(agenda, 2.0) == []
    assert agenda.next_due() == 3.0
    assert taken(agenda, 4.0) == [moved]
    assert taken(agenda, 9.0) == []


def test_polls_that_are_put_off_again_and_again_pile_up_nothing() -> None:
    """As while a server is away, and nobody takes any."""
    agenda = Agenda()
    jobs = [job() for _ in range(100)]
    for attempt in range(200):
        for each in jobs:
            each.set_due(100.0 + attempt)
            agenda.put(each)
        assert len(agenda) <= 2 * len(jobs)
    assert agenda.next_due() == 299.0
    assert sorted(map(id, taken(agenda, 299.0))) == sorted(map(id, jobs))
    assert len(agenda) == 0


def test_jitter_moves_each_poll_and_never_the_beat() -> None:
    chance = random.Random(1)
    jittery = job(100, jitter_ms=30)
    jittery.begin(50.0, chance)
    assert 50.0 <= jittery.due <= 50.1
    start = jittery.regular
    offsets = []
    for beat in range(1, 200):
        jittery.advance(jittery.regular, chance)
        assert jittery.regular == pytest.approx(start + beat * 0.1)
        offsets.append(jittery.due - jittery.regular)
    assert 0.0 <= min(offsets) < 0.003
    assert 0.027 < max(offsets) <= 0.03


def test_many_jobs_with_jitter_do_not_begin_together() -> None:
    chance = random.Random(2)
    jobs = [job(1_000, jitter_ms=10) for _ in range(500)]
    for each in jobs:
        each.begin(0.0, chance)
    in_each_tenth = [sum(tenth / 10 <= each.due < (tenth + 1) / 10 for each in jobs) for tenth in range(10)]
    assert min(in_each_tenth) > 25


def test_no_tick_is_before_the_time_that_is_slept_until() -> None:
    """Or whoever wakes then finds nothing due, and asks again until the next tick."""
    chance = random.Random(7)
    times = [chance.randrange(10**9) / 1_000 + 0.005 for _ in range(20_000)]
    assert [time for time in times if _next_tick(time) < time] == []
    assert all(_next_tick(time) - time < 0.001_001 for time in times)


@pytest.mark.parametrize("event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_whoever_sleeps_until_a_time_between_two_ticks_wakes_once(event_loop: Any) -> None:
    async def wakes(rest_s: float) -> int:
        loop, alarm, count = asyncio.get_running_loop(), Alarm(), 0
        until = loop.time() + 0.005 + rest_s
        while loop.time() < until:
            await alarm.sleep(until)
            count += 1
        return count

    with asyncio.Runner(loop_factory=event_loop) as runner:
        counts = [runner.run(wakes(rest_us / 1e6)) for rest_us in range(0, 1_000, 50)]
    assert max(counts) <= 2, counts
