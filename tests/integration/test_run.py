"""`sortline run` as its user sees it: a process that is started, told to stop, and says where every record went."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engine.sinks.queue import Queue
from tests.peers import Peer, program

ACCOUNT = re.compile(r"^in \d+ = used \d+ \+ duplicate \d+ \+ late \d+ \+ rejected \d+ \+ noise \d+ \+ open \d+$", re.M)


def site(folder: Path, text: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{folder / "data"}"\n{text}')
    return path


def started(path: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "engine.cli", "run", str(path), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_and_stops_within_10_s(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # under nohup what we start would ignore a SIGHUP, and rightly
    try:
        process = started(site(tmp_path))
    finally:
        signal.signal(number, before)
    assert process.stderr is not None
    said = ""
    while "sink queue: up" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    began = time.monotonic()
    process.send_signal(number)
    _, rest = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 0
    assert f"{number.name}: stopping" in rest
    assert ACCOUNT.search(rest)


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what it starts ignores it, too
    try:
        process = started(site(tmp_path))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.stderr is not None
    while "sink queue: up" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    process.terminate()
    _, rest = process.communicate(timeout=60)
    assert "SIGTERM: stopping" in rest
    assert "SIGHUP" not in rest


def test_nobody_else_on_the_box_reads_the_data_folder(tmp_path: Path) -> None:
    """Also where the process may make files for everybody, while it runs and after it was killed."""
    data = tmp_path / "above" / "data"
    path = tmp_path / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{data}"\n')
    before = os.umask(0o022)
    try:
        process = started(path)
        assert process.stderr is not None
        while "sink queue: up" not in (line := process.stderr.readline()):
            assert line
        open_to_others = [each for each in (data, *data.rglob("*")) if each.stat().st_mode & 0o027]
        process.kill()
        process.communicate()
        process = started(path, "--seconds", "0.1")
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        os.umask(before)
    open_to_others += [each for each in (data, *data.rglob("*")) if each.stat().st_mode & 0o027]
    assert open_to_others == []
    assert len(list(data.rglob("*"))) > 8


SLOW = """
import sys, time
import engine.cli, engine.run

class Slow(engine.run.Engine):
    def __init__(self, site):
        print("looking through it", file=sys.stderr, flush=True)
        time.sleep(3600)

engine.run.Engine = Slow
sys.exit(engine.cli.main(["run", sys.argv[1]]))
"""


def test_a_start_that_looks_through_a_large_outbox_hears_that_it_shall_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SLOW, str(site(tmp_path))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "looking through it" not in (line := process.stderr.readline()):
        assert line
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 0, said
    assert "SIGTERM: stopping" in said
    assert "nothing is lost, the next start does it again" in said


EARLY = """
import importlib, os, signal, sys
import engine.cli

def told():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:
        pass  # as where Python calls back from the middle of something else

def loading(name):
    if name != "engine.run":
        return load(name)
    if sys.argv[2] == "while it loads":
        told()
    module = load(name)
    run = module.run
    if sys.argv[2] == "when it has loaded":
        module.run = lambda args: (told(), run(args))[1]
    return module

load, importlib.import_module = importlib.import_module, loading
sys.exit(engine.cli.main(["run", sys.argv[1]]))
"""


@pytest.mark.parametrize("when", ["while it loads", "when it has loaded"])
def test_a_signal_before_it_listens_is_an_end_like_any_other(tmp_path: Path, when: str) -> None:
    process = subprocess.run(
        [sys.executable, "-c", EARLY, str(site(tmp_path)), when], capture_output=True, text=True, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert ("SIGTERM: stopping" in process.stderr) == (when == "when it has loaded"), process.stderr


def test_it_stops_by_itself_and_prints_the_account_last(tmp_path: Path) -> None:
    process = started(site(tmp_path), "--seconds", "0.3")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert ACCOUNT.fullmatch(err.strip().splitlines()[-1])


def test_a_data_folder_in_use_is_refused_with_exit_code_1(tmp_path: Path) -> None:
    first = started(site(tmp_path), "--seconds", "30")
    assert first.stderr is not None
    while "sink queue: up" not in first.stderr.readline():
        assert first.poll() is None
    second = started(site(tmp_path))
    _, err = second.communicate(timeout=60)
    first.terminate()
    first.communicate(timeout=60)
    assert second.returncode == 1
    assert f"in use by process {first.pid}" in err
    assert "Traceback" not in err


HANGS = """
import sys
import engine.app, engine.run
from engine.cli import main
from protocols.registry import PROTOCOLS
PROTOCOLS["lines"] = ("tests.integration.lines_protocol:Settings", "tests.integration.lines_protocol:Driver")
engine.app.DRIVERS_STOP_S, engine.run.STOP_S_MAX = 0.2, 5.0
sys.exit(main(sys.argv[1:]))
"""


def test_what_does_not_let_go_is_ended(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.touch()
    path = site(tmp_path, f'[sources.one]\nprotocol = "lines"\nfile = "{lines}"\nbreaks = "hangs"\n')
    command = [sys.executable, "-c", HANGS, "run", str(path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "source one: up" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "driver one did not stop" in said
    assert "something did not let go" in said


def test_in_a_terminal_there_is_a_view(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [sys.executable, "-m", "engine.cli", "run", str(site(tmp_path)), "--seconds", "1"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 65_536)
        except OSError:  # Linux says EIO when the other side has closed
            break
    os.close(ours)
    assert process.wait(60) == 0
    for part in ("last business events", "event loop held", "not delivered"):
        assert part in shown.decode()


@pytest.mark.peer("mosquitto")
def test_a_message_by_hand_becomes_an_event_in_the_queue(tmp_path: Path, mosquitto: Peer) -> None:
    now = int(time.time() * 1_000_000)
    task = {"task": "T-1", "rev": 1, "order": "O-1", "line": 1, "sku": "S", "qty": 2}
    order = {"order": "O-1", "rev": 1, "lines": [{"line": 1, "sku": "S", "qty": 2}]}
    messages = [
        ("wms/ctx", {"src": "dc1/wms/main", "kind": "order.released", "t": now, **order}),
        ("wms/ctx", {"src": "dc1/wms/main", "kind": "pick.task", "t": now, **task}),
        ("pick/PTL-01/evt", {"ty": "C", "n": 255, "job": "T-1", "sku": "S", "q": 1}),
        ("pick/PTL-01/evt", "not even JSON"),
        ("pick/PTL-01/evt", {"ty": "C", "n": 0, "job": "T-1", "sku": "S", "q": 1}),
    ]
    path = site(
        tmp_path,
        f"""
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {mosquitto.port}
client_id = "sortline-test"
scope = ["dc1/pick/"]
[[sources.floor.topics]]
filter = "wms/ctx"
format = "canonical"
[[sources.floor.topics]]
filter = "pick/+device/evt"
[sources.floor.topics.record]
src = {{ template = "dc1/pick/{{device}}" }}
kind = {{ path = "ty", table = {{ C = "pick.confirm" }} }}
seq = {{ path = "n", wrap = 256 }}
task = "job"
sku = "sku"
qty = "q"
""",
    )
    process = started(path)
    try:
        assert process.stderr is not None
        while "source floor: up" not in process.stderr.readline():
            assert process.poll() is None
        for topic, payload in messages:
            text = payload if isinstance(payload, str) else json.dumps(payload)
            call = [program("mosquitto_pub"), "-p", str(mosquitto.port), "-q", "1", "-t", topic, "-m", text]
            subprocess.run(call, check=True)
        events = _queued(tmp_path / "data" / "queue.sqlite", 1)
    finally:
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert events[0]["subject"] == "task/T-1"
    assert events[0]["data"]["qty"] == 2
    assert "a payload was refused" in err
    assert "not even JSON" not in err, "no payload in the log"
    assert ACCOUNT.search(err)


def _queued(path: Path, count: int) -> list[dict[str, Any]]:
    queue = Queue(path)
    deadline = time.monotonic() + 60
    try:
        while len(entries := queue.read("erp.inventory", 0, 100)) < count:
            assert time.monotonic() < deadline, "no event came"
            time.sleep(0.05)
        return [json.loads(entry.body) for entry in entries]
    finally:
        queue.close()
