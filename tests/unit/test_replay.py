"""`sortline replay` as its user sees it: the events' file, the lines on stderr, the exit code."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.cli import main
from engine.recordings import Writer
from engine.replay import Pace, Progress

T0 = 1795420800000000
STORY: list[dict[str, Any]] = [
    {"src": "dc1/wms/main", "kind": "order.released", "order": "O-77", "rev": 1,
     "lines": [{"line": 1, "sku": "S", "qty": 2}, {"line": 2, "sku": "R", "qty": 1}]},
    {"src": "dc1/wms/main", "kind": "pick.task", "task": "T-1001", "rev": 1, "order": "O-77", "line": 1, "sku": "S",
     "qty": 2},
    {"src": "dc1/conveyor/PE-1", "kind": "photo_eye", "on": True},
    {"src": "dc1/pick/PTL-02", "seq": 1, "kind": "pick.confirm", "task": "T-1001", "sku": "S", "qty": 1, "lu": "L-1"},
    {"src": "dc1/pick/PTL-02", "seq": 1, "kind": "pick.confirm", "task": "T-1001", "sku": "S", "qty": 1, "lu": "L-1"},
    {"src": "dc1/pick/PTL-02", "seq": 2, "kind": "pick.confirm", "task": "T-1001", "sku": "S", "qty": 1, "lu": "L-1"},
    {"src": "dc1/pick/PTL-02", "seq": 3, "kind": "carton.close", "lu": "L-1"},
]  # fmt: skip


def line_of(i: int, record: dict[str, Any]) -> bytes:
    return json.dumps({**record, "t": T0 + i * 1_000_000, "t_rx": T0 + i * 1_000_000 + 900}).encode() + b"\n"


LINES = [line_of(i, record) for i, record in enumerate(STORY)]


def recording(path: Path, lines: list[bytes]) -> str:
    with Writer(str(path)) as out:
        out.write(b"".join(lines))
    return str(path)


def replay(source: str, out: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    code = main(["replay", source, "--out", str(out), *options])
    return code, [json.loads(line) for line in out.read_bytes().splitlines()] if out.exists() else []


def test_a_story_becomes_its_events_and_the_account_adds_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, events = replay(recording(tmp_path / "in.ndjson", LINES), tmp_path / "out.ndjson")
    assert code == 0
    assert [(event["type"], event["subject"]) for event in events] == [
        ("io.sortline.pick.confirmed.v1", "task/T-1001"),
        ("io.sortline.carton.closed.v1", "carton/L-1#1"),
    ]
    assert events[0]["id"] == "pc1.mc6cfej273pfqdqk3ooddnndvv:r0"
    account = capsys.readouterr().err.splitlines()[-1]
    assert account == "in 7 = used 5 + duplicate 1 + late 0 + rejected 0 + noise 1 + open 0"


def test_the_same_records_give_the_same_bytes_in_any_format_and_at_any_speed(tmp_path: Path) -> None:
    expected = tmp_path / "expected.ndjson"
    replay(recording(tmp_path / "in.ndjson", LINES), expected)
    outs = [tmp_path / f"{i}.ndjson" for i in range(3)]
    replay(recording(tmp_path / "in.zst", LINES), outs[0])
    replay(recording(tmp_path / "in.parquet", LINES), outs[1])
    replay(recording(tmp_path / "in2.ndjson", LINES), outs[2], "--speed", "10x")
    assert {out.read_bytes() for out in outs} == {expected.read_bytes()}


def test_bad_lines_are_named_counted_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recording(tmp_path / "in.ndjson", [b"nonsense\n", *LINES[:3], b"\n", b'{"kind":"warp"}\n', *LINES[3:]])
    code, events = replay(source, tmp_path / "out.ndjson")
    assert (code, len(events)) == (0, 2)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{source}:1: a JSON object expected"
    assert said[1] == f'{source}:6: unknown kind "warp"'
    assert said[-1].startswith("in 9 = used 5 + duplicate 1 + late 0 + rejected 2 + noise 1 + open 0")


def test_only_the_first_bad_lines_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recording(tmp_path / "in.ndjson", [b"nonsense\n"] * 50)
    code, events = replay(source, tmp_path / "out.ndjson")
    said = capsys.readouterr().err.splitlines()
    assert (code, events, len(said)) == (0, [], 22)
    assert said[-2] == f"{source}: 30 more bad lines"
    assert said[-1] == "in 50 = used 0 + duplicate 0 + late 0 + rejected 50 + noise 0 + open 0"


def test_strict_stops_at_the_first_bad_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recording(tmp_path / "in.ndjson", [*LINES, b"nonsense\n"])
    code, _ = replay(source, tmp_path / "out.ndjson", "--strict")
    assert code == 1
    assert f"{source}:8: a JSON object expected" in capsys.readouterr().err


@pytest.mark.parametrize("before", [b"of the last run\n", None])
def test_a_run_that_does_not_come_to_its_end_leaves_what_was_there(tmp_path: Path, before: bytes | None) -> None:
    """Half of the events under the name of all would be taken for them."""
    out = tmp_path / "out.ndjson"
    if before is not None:
        out.write_bytes(before)
    source = recording(tmp_path / "in.ndjson", [*LINES, b"no record\n"])
    names = {path.name for path in tmp_path.iterdir()}
    assert main(["replay", source, "--out", str(out), "--strict"]) == 1
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (out.read_bytes() if out.exists() else None) == before


def test_a_file_that_is_there_is_replaced_and_what_is_no_file_stays(tmp_path: Path) -> None:
    source = recording(tmp_path / "in.ndjson", LINES)
    _, expected = replay(source, tmp_path / "expected.ndjson")
    (tmp_path / "real.ndjson").write_bytes(b"of the last run\n")
    (tmp_path / "link.ndjson").symlink_to("real.ndjson")
    assert replay(source, tmp_path / "link.ndjson") == (0, expected)
    assert (tmp_path / "link.ndjson").is_symlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert main(["replay", source, "--out", str(pipe)]) == 0
    assert os.read(reader, 1 << 20) == (tmp_path / "real.ndjson").read_bytes()
    os.close(reader)
    assert pipe.is_fifo()


def test_the_site_comes_from_the_config_else_from_the_first_source(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    config.write_text('site = "dc9"\n[rules]\nclose_hold_ms = 1000\n')
    tick = b'{"kind":"clock.tick","t_rx":1795420700000000}\n'
    source = recording(tmp_path / "in.ndjson", [tick, *LINES])
    _, of_record = replay(source, tmp_path / "a.ndjson")
    _, of_config = replay(source, tmp_path / "b.ndjson", "--config", str(config))
    assert {event["source"] for event in of_record} == {"/sites/dc1"}
    assert {event["source"] for event in of_config} == {"/sites/dc9"}


def test_until_says_how_far_time_runs_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = recording(tmp_path / "in.ndjson", LINES)
    _, early = replay(source, tmp_path / "a.ndjson", "--until", str(T0 + 7_000_000))
    _, late = replay(source, tmp_path / "b.ndjson", "--until", "2026-11-23T09:00:00Z")
    assert [len(early), len(late)] == [1, 2]
    with pytest.raises(SystemExit) as usage:
        replay(source, tmp_path / "c.ndjson", "--until", "2026-11-23T09:00:00")
    assert usage.value.code == 2
    assert "has no offset" in capsys.readouterr().err


def test_what_cannot_be_read_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(str(tmp_path / "none.ndjson"), tmp_path / "out.ndjson") == (1, [])
    assert "none.ndjson: cannot be read: No such file or directory" in capsys.readouterr().err
    assert not (tmp_path / "out.ndjson").exists()
    source = recording(tmp_path / "in.ndjson", LINES)
    assert main(["replay", source, "--out", source]) == 1
    assert Path(source).read_bytes() == b"".join(LINES)


def test_an_empty_recording_has_an_empty_account(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(recording(tmp_path / "in.ndjson", []), tmp_path / "out.ndjson") == (0, [])
    assert capsys.readouterr().err == "in 0 = used 0 + duplicate 0 + late 0 + rejected 0 + noise 0 + open 0\n"


def test_records_pass_through_stdin_and_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(LINES))))
    printed = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", printed)
    assert main(["replay", "-", "--out", "-"]) == 0
    assert printed.buffer.getvalue().count(b"\n") == 2


def test_a_paced_run_lets_rows_through_when_they_are_due() -> None:
    now = [100.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(10.0, lambda: now[0], sleep)
    assert list(pace.runs(np.array([5_000_000, 5_000_000, 4_000_000, 6_000_000]))) == [(0, 3), (3, 4)]
    assert list(pace.runs(np.array([5_000_000, 8_000_000]))) == [(0, 1), (1, 2)]
    assert slept == pytest.approx([0.1, 0.2])
    assert list(pace.runs(np.array([], dtype=np.int64))) == []


def test_progress_is_a_line_every_five_seconds_where_nobody_watches() -> None:
    now = [0.0]
    err = io.StringIO()
    progress = Progress(err, lambda: now[0])
    for second in range(12):
        now[0] = float(second)
        progress.show(second * 1000, second, 0.5)
    assert err.getvalue().splitlines() == [
        " 50%  5,000 records  1,000/s  5 events",
        " 50%  10,000 records  1,000/s  10 events",
    ]
