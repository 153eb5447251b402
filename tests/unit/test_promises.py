"""The checker of the promises sees each of them broken."""

from __future__ import annotations

import json

import pytest

from engine.delivery import PROBE_S
from engine.errors import Refused
from engine.sinks.http import Settings as HttpSettings
from engine.sinks.redis_stream import Settings as RedisSettings
from engine.throttle import BACKOFF_S_MAX
from protocols.mqtt.settings import Settings as MqttSettings
from tests.promises import ARRIVAL_S_MAX, CHECKS, Evidence, Promises, Told

ACCOUNT = {"in": 3, "used": 1, "duplicate": 0, "late": 0, "rejected": 0, "noise": 2, "open": 0}


def told(sequence: int, id_: str, qty: int = 1) -> Told:
    return Told(sequence, id_, "O-1", json.dumps({"id": id_, "sequence": f"{sequence:020}", "qty": qty}).encode())


BROKEN = {
    "I1": Evidence(acknowledged=["a", "b"], arrived={"erp": [told(1, "a")]}),
    "I2": Evidence(arrived={"erp": [told(1, "a"), told(2, "b")]}),
    "I3": Evidence(arrived={"erp": [told(1, "a")], "lake": [told(1, "a", qty=2)]}),
    "I4": Evidence(arrived={"erp": [told(2, "a"), told(1, "b", qty=2)]}),
    "I5": Evidence(account=ACCOUNT | {"noise": 1}),
    "I6": Evidence(waits_s=[0.1, 31.0]),
    "I8": Evidence(starts=[None, KeyError("events")]),
    "I9": Evidence(caps={"journal": (11, 10)}),
}


@pytest.mark.parametrize("promise", CHECKS)
def test_a_broken_promise_is_seen_and_no_other(promise: str) -> None:
    promises = Promises()
    assert {breach.promise for breach in promises.check(BROKEN[promise])} == {promise}
    with pytest.raises(AssertionError, match=f"{promise}: "):
        promises.kept()


def test_what_is_kept_breaks_nothing() -> None:
    events = [told(1, "a"), told(2, "b", qty=2)]
    refusal = Refused("/data/outbox.sqlite is damaged: `sortline fsck /data` says what is left of it")
    promises = Promises()
    for _ in range(2):  # the same shown twice is the same
        promises.check(
            Evidence(
                acknowledged=["a", "b"],
                arrived={"erp": events, "lake": events},
                account=ACCOUNT,
                told=2,
                starts=[None, refusal],
                caps={"journal": (10, 10)},
                waits_s=[30.0],
            )
        )
    promises.kept()


def test_an_event_that_stands_twice_at_a_sink_or_is_missing_there_is_seen() -> None:
    promises = Promises()
    promises.check(Evidence(arrived={"erp": [told(1, "a"), told(1, "a")]}))
    promises.check(Evidence(arrived={"erp": [told(1, "a"), told(3, "c", qty=3)]}, told=3))
    assert [breach.promise for breach in promises.breaches] == ["I3", "I5"]


@pytest.mark.parametrize("pause_s", [PROBE_S, BACKOFF_S_MAX, MqttSettings(host="broker").reconnect_max_ms / 1_000])
def test_pauses_leave_time_for_i6(pause_s: float) -> None:
    """What is under way when the fault ends fails first, as late as its settings let it."""
    redis, http = RedisSettings(), HttpSettings(url="http://erp")
    under_way_s = max(redis.connect_ms, redis.command_ms + redis.wait_aof_ms, http.timeout_ms) / 1_000
    assert pause_s + under_way_s <= ARRIVAL_S_MAX - 1
