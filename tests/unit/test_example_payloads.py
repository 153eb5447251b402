"""The payloads that two example site files show in their comments, through the mapping that stands below them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config.walk import check
from protocols.mapping.sequence import Sequences
from protocols.mqtt import decode as mqtt
from protocols.mqtt.settings import Settings as MqttSettings
from protocols.redis_stream import decode as redis_stream
from protocols.redis_stream.settings import Settings as RedisSettings

EXAMPLES = Path(__file__).parents[2] / "examples"
NEVER = Sequences(lambda src: None)
OF_THE_ENGINE = ("protocol", "covers")


def source(name: str, example: str) -> dict[str, Any]:
    table = tomllib.loads((EXAMPLES / example).read_text())["sources"][name]
    return {key: value for key, value in table.items() if key not in OF_THE_ENGINE}


@pytest.mark.parametrize(
    ("topic", "payload", "expected"),
    [
        (
            "dc1/pick/PTL-01/evt",
            '{"ty":"C","n":17,"ts":1795420812345,"job":"T-1001","sku":"SKU-42","q":2,"bin":"B-07","tote":"TOTE-1"}',
            [
                {
                    "src": "dc1/pick/PTL-01",
                    "kind": "pick.confirm",
                    "seq": 17,
                    "t": 1795420812345000,
                    "task": "T-1001",
                    "sku": "SKU-42",
                    "qty": 2,
                    "loc": "B-07",
                    "lu": "TOTE-1",
                }
            ],
        ),
        ("dc1/pick/PTL-01/evt", '{"ty":"HELLO"}', []),
        (
            "dc1/conveyor/SCN-01/evt",
            '{"head":{"at":"2026-11-23T08:00:12.345678Z"},'
            '"reads":[{"bc":"TOTE-1","ok":1,"kg":2.35},{"bc":"NOREAD","ok":0}]}',
            [
                {
                    "src": "dc1/conveyor/SCN-01",
                    "kind": "weigh",
                    "lu": "TOTE-1",
                    "weight_g": 2350,
                    "t": 1795420812345678,
                }
            ],
        ),
        ("dc1/lights/L-1", "RUN", [{"src": "dc1/lights/L-1", "kind": "machine.state", "state": "set"}]),
    ],
)
def test_a_message_of_the_mqtt_example(topic: str, payload: str, expected: list[dict[str, Any]]) -> None:
    decoder = mqtt.Decoder(msgspec.convert(source("floor", "mqtt.toml"), MqttSettings), NEVER)
    found = decoder.decode(topic, payload.encode(), 1)
    assert found.causes == []
    assert [json.loads(line) for line in found.lines] == [{**record, "t_rx": 1} for record in expected]


def test_what_the_mqtt_example_says_in_comments_is_right_as_well() -> None:
    text = (EXAMPLES / "mqtt.toml").read_text()
    told = re.sub("^# ?", "", text[text.index("# [sources.floor.sparkplug]") :], flags=re.MULTILINE)
    table = tomllib.loads(told)["sources"]["floor"] | {"host": "localhost", "will": {"topic": "dc1/engine/state"}}
    assert check(table, MqttSettings) == []


def test_an_entry_of_the_redis_example() -> None:
    decoder = redis_stream.Decoder(msgspec.convert(source("wms", "redis_context.toml"), RedisSettings), NEVER)
    order = b'{"kind":"order.released","order":"O-77","rev":1,"lines":[{"line":1,"sku":"SKU-42","qty":4}]}'
    found = decoder.decode({b"record": order}, 1)
    assert [json.loads(line) for line in found.lines] == [{**json.loads(order), "src": "dc1/wms/main", "t_rx": 1}]
    fields = redis_stream.Decoder(msgspec.convert(source("binds", "redis_context.toml"), RedisSettings), NEVER)
    (line,) = fields.decode({b"tote": b"TOTE-1", b"order_no": b"O-77", b"version": b"3"}, 1).lines
    assert json.loads(line)["rev"] == 3
