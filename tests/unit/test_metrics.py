"""Counters that count what they say, and stay bounded whatever comes."""

from __future__ import annotations

import gc
import sys

from engine.metrics import CAUSES_MAX, LOOP_S, LOOP_SAMPLES, OTHER_CAUSES, RECENT_EVENTS, LoopLag, Metrics, Rate, Recent
from engine.pauses import short_pauses

SECOND = 1_000_000


def test_a_rate_is_the_mean_of_the_last_whole_seconds() -> None:
    rate = Rate()
    for second in range(100, 120):
        for _ in range(5):
            rate.add(10, second * SECOND + 7)
    assert rate.per_second(120 * SECOND) == 50
    assert rate.per_second(125 * SECOND) == 25
    assert rate.per_second(200 * SECOND) == 0


def test_the_running_second_does_not_count_yet() -> None:
    rate = Rate()
    rate.add(10, 100 * SECOND)
    assert rate.per_second(100 * SECOND + 999_999) == 0
    assert rate.per_second(101 * SECOND) == 1


def test_faults_are_counted_by_cause_and_a_few_samples_are_kept() -> None:
    source = Metrics(samples_max=2, sample_bytes_max=3).source("a")
    assert [source.fault("seq: missing", f"sample {n}".encode(), n) for n in range(5)] == [True, *[False] * 4]
    fault = source.faults["seq: missing"]
    assert (fault.count, fault.last_us, list(fault.samples)) == (5, 4, [b"sam", b"sam"])


def test_causes_are_bounded_and_none_is_lost() -> None:
    source = Metrics().source("a")
    told = sum(source.fault(f"cause {n}", b"", 0) for n in range(1_000))
    assert len(source.faults) == told == CAUSES_MAX + 1
    assert source.faults[OTHER_CAUSES].count == 1_000 - CAUSES_MAX
    assert source.faulty == 1_000


def test_recent_events_and_lags_are_bounded() -> None:
    metrics = Metrics()
    metrics.recent.extend(Recent(0, n, f"e{n}", "pick.confirmed", "") for n in range(10_000))
    assert len(metrics.recent) == RECENT_EVENTS
    for lag in range(LOOP_SAMPLES * 2):
        metrics.loop.add(lag, lag / LOOP_SAMPLES)
    assert metrics.loop.max_us == 2 * LOOP_SAMPLES - 1
    assert LOOP_SAMPLES * 1.98 <= metrics.loop.p99_us() < LOOP_SAMPLES * 2
    assert LoopLag().p99_us() == 0


def test_what_held_the_loop_is_over_after_a_minute_also_where_it_is_looked_at_rarely() -> None:
    lag = LoopLag()
    for look in range(4):
        lag.add(500_000, look * 0.16)
    for look in range(round(LOOP_S / 0.16) + 1):
        lag.add(10, 1 + look * 0.16)
    assert (lag.p99_us(), lag.max_us) == (10, 500_000)


def test_short_pauses_leave_the_interpreter_as_it_was() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    with short_pauses():
        assert gc.get_threshold()[2] > 1_000_000
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
