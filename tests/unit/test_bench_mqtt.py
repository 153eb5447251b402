"""The MQTT cases run, and lose nothing."""

from __future__ import annotations

import pytest

from bench import mqtt


@pytest.mark.parametrize("case", ["wire.mqtt_qos0", "wire.mqtt_qos1", "wire.sparkplug"])
def test_the_mqtt_cases_run_and_lose_nothing(case: str) -> None:
    """Our own turn of each: the peers' take longer than a test may."""
    qos, sparkplug = int(case.endswith("qos1")), case.endswith("sparkplug")
    filter_ = "spBv1.0/Plant1/#" if sparkplug else "dc1/pick/+/evt"
    with mqtt.served(2_000, qos, sparkplug) as port:
        took = mqtt.turn(mqtt.OURS, mqtt.Traffic(port, 2_000, qos, filter_, sparkplug))
    assert took.came == 2_000
    assert took.us > 0
