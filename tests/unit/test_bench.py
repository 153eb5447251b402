"""The benchmarks run and say what they ran; their peers do the job that they claim to do."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from bench import mqtt
from bench.cases import CASES
from bench.cli import add_arguments, run
from bench.peers import Windows, decode_record
from bench.workload import story_chunks
from engine.records import make_decoder
from ext.batch import Batch
from ext.texts import Texts


def bench(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(argv))


def test_every_case_gives_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--json", "--orders", "5", "--runs", "1") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["case"] for line in lines] == list(CASES)
    for line in lines:
        assert line["events_per_s"] > 0
        assert line["peers"].keys() == line["ratio"].keys() != set()
        assert {"p50_ms", "p99_ms", "rss_mb", "versions"} <= line.keys()


def test_an_unknown_case_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("core.ndjson", "warp") == 2
    assert "there is no case warp" in capsys.readouterr().err


def test_the_story_is_the_same_every_time_and_all_of_it_decodes() -> None:
    chunks = story_chunks(5)
    assert chunks == story_chunks(5)
    texts = Texts()
    batch = Batch(texts)
    assert make_decoder(texts).decode(b"".join(chunks), batch) == []
    assert len(batch) > 100


def test_the_peer_closes_every_carton_of_the_story() -> None:
    windows = Windows()
    closed: set[str] = set()
    for chunk in story_chunks(20):
        for line in chunk.splitlines():
            record = decode_record(line)
            if record.kind == "carton.close":
                closed.add(record.lu)
            windows.take(record)
    events = [json.loads(event) for event in windows.events]
    told = {event["subject"] for event in events if event["type"] == "carton.closed"}
    assert told | {lu for _, lu in windows.closing} == closed
    assert len(told) > len(windows.closing)
    assert any(event["type"] == "pick.confirmed" for event in events)


def test_decoding_of_one_chunk(benchmark: Any) -> None:
    """For `pytest --benchmark-enable`: the micro figure behind `decode.ndjson`."""
    chunk = story_chunks(20)[0]
    texts = Texts()
    batch, decoder = Batch(texts), make_decoder(texts)

    def decode() -> list[tuple[int, str]]:
        batch.clear()
        return decoder.decode(chunk, batch)

    assert benchmark(decode) == []


@pytest.mark.parametrize("case", ["wire.mqtt_qos0", "wire.mqtt_qos1", "wire.sparkplug"])
def test_the_mqtt_cases_run_and_lose_nothing(case: str) -> None:
    """Our own turn of each: the peers' take longer than a test may."""
    qos, sparkplug = int(case.endswith("qos1")), case.endswith("sparkplug")
    filter_ = "spBv1.0/Plant1/#" if sparkplug else "dc1/pick/+/evt"
    with mqtt.served(2_000, qos, sparkplug) as port:
        took = mqtt.turn(mqtt.OURS, mqtt.Traffic(port, 2_000, qos, filter_, sparkplug))
    assert took.came == 2_000
    assert took.us > 0
