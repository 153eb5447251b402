"""The MQTT cases run, and lose nothing."""

from __future__ import annotations

import pytest

from bench import mqtt, mqtt_stream, servers
from bench.measure import Absent, alone
from bench.registry import case_of
from bench.settings import Settings


@pytest.mark.parametrize("case", ["wire.mqtt_qos0", "wire.mqtt_qos1", "wire.sparkplug"])
def test_ours_gets_every_message_of_every_turn(case: str) -> None:
    qos, sparkplug = int(case.endswith("qos1")), case.endswith("sparkplug")
    made = mqtt_stream.sparkplug if sparkplug else mqtt_stream.of_qos(qos)
    with mqtt_stream.broker(2_000, made, max(qos, sparkplug)) as (port, control):
        timing = alone(mqtt.ours, mqtt.Traffic(port, control, 2_000, qos, sparkplug=sparkplug), runs=2)
    assert timing.told == [{"came": 2_000, "sent": 2_000}] * 2
    assert min(timing.cpu) > 0


def test_a_size_and_a_number_of_turns_are_obeyed_and_peers_take_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "MESSAGES_MIN", 200)
    figures = case_of("wire.mqtt_qos1")(Settings(scale=0.002, runs=1))
    assert figures["us"].keys() | figures["absent"].keys() == {"sortline", "aiomqtt", "paho", "gmqtt"}
    assert {"sortline", "aiomqtt", "paho"} <= figures["us"].keys()
    assert set(figures["lost"].values()) == {0}
    assert all(us > 0 for us in figures["us"].values())


@pytest.mark.peer("mosquitto")
def test_behind_a_broker_nothing_is_lost_either(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        servers.program("mosquitto")
    except Absent as reason:
        pytest.skip(str(reason))
    monkeypatch.setattr(mqtt, "CONTESTANTS", {"sortline": mqtt.ours})
    figures = case_of("broker.mqtt")(Settings(scale=0.001, runs=1))
    assert figures["us"].keys() == {"sortline", "sortline.at_10000"}
    assert set(figures["lost"].values()) == {0}


def test_without_a_broker_the_case_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    with pytest.raises(Absent, match="mosquitto is not installed"):
        case_of("broker.mqtt")(Settings(scale=0.001, runs=1))
