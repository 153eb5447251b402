"""`sortline journal refill`: a sink that has lost what it had gets it of the journal, in the same bytes."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import redis

from engine.cli import main
from engine.contracts import OutRow
from engine.dead_letters import DeadLetters
from engine.letter import Cause
from tests.integration.test_pipeline import RULES, ListSink, Rig, run
from tests.integration.test_restarts import CHANGED, LINES, accept, bodies, compiled, told
from tests.peers import Peer
from tests.stories import T0

ROUTES = '[[routes]]\ntypes = ["*"]\nqueue = "erp"\n'
DONE, REFUSED = 0, 1


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose sink `queue` has everything; the rules changed in between."""
    folder = tmp_path_factory.mktemp("left") / "data"
    told(folder, LINES, (150, False, RULES), (len(LINES), False, CHANGED), keep_bytes=1 << 24)
    return folder


@pytest.fixture
def data(left_behind: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(left_behind, tmp_path / "data"))


def refill(data: Path, *options: str, sink: str = 'kind = "queue"') -> int:
    site = data.with_name("site.toml")
    site.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{data}"\n[sinks.queue]\n{sink}\n{ROUTES}')
    return main(["journal", "refill", str(site), "--sink", "queue", *options])


def test_an_embedded_queue_that_is_gone_is_filled_as_it_was(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = bodies(data)
    (data / "queue.sqlite").unlink()
    assert refill(data) == DONE
    assert f"erp: {len(before)} events would be sent again" in capsys.readouterr().out
    assert not (data / "queue.sqlite").exists()
    for _ in range(2):  # what it has is passed over
        assert refill(data, "--yes") == DONE
        assert bodies(data) == before


def test_a_stream_that_was_emptied_gets_the_same_entries(
    data: Path, redis_server: Peer, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bodies(data)
    sink = f'kind = "redis"\nport = {redis_server.port}'
    with redis.Redis(port=redis_server.port) as client:
        for _ in range(2):
            assert refill(data, "--yes", sink=sink) == DONE
            entries = client.xrange("erp")
            assert [fields[b"event"] for _, fields in entries] == before
            assert [at for at, _ in entries] == [b"%d-0" % int(json.loads(body)["sequence"]) for body in before]
        client.xtrim("erp", maxlen=5, approximate=False)
        assert refill(data, "--yes", sink=sink) == REFUSED
        assert "rename or delete the stream" in capsys.readouterr().err
        client.rename("erp", "before")
        assert refill(data, "--yes", "--from", "11", sink=sink) == DONE
        assert [fields[b"event"] for _, fields in client.xrange("erp")] == before[10:]


def test_what_is_dead_or_waits_is_left_to_others(tmp_path: Path) -> None:
    data = tmp_path / "data"
    before = told(data, LINES, (150, False, RULES), keep_bytes=1 << 24)
    letters = DeadLetters(data / "dead.sqlite", lambda: 5)
    letters.bury("queue", [OutRow(3, "e3", "t", "erp", "k", b"{}")], Cause("permanent", "422", "no"))
    letters.close()

    async def more_comes() -> None:
        engine = Rig(data, {"queue": ListSink(ConnectionError("down"))}, RULES, compiled, keep_bytes=1 << 24)
        engine.now_us = T0 - 1
        await engine.pipeline.start()
        await accept(engine, LINES[150:])
        await engine.abandon()

    run(more_comes)
    (data / "queue.sqlite").unlink()
    assert refill(data, "--yes") == DONE
    assert bodies(data) == [*before[:2], *before[3:]]


def test_what_the_journal_would_make_otherwise_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(data / "outbox.sqlite") as file:
        file.execute("UPDATE told SET id = 'pc1.another:r0' WHERE sequence = 9")
    file.close()
    (data / "queue.sqlite").unlink()
    assert refill(data, "--yes") == REFUSED
    assert "event 9 was told as pc1.another:r0, and the journal now makes" in capsys.readouterr().err
    assert not (data / "queue.sqlite").exists() or not bodies(data)


@pytest.mark.parametrize("gone", ["journal/00000001.*", "outbox.sqlite"])
def test_without_the_whole_story_it_is_refused(data: Path, gone: str, capsys: pytest.CaptureFixture[str]) -> None:
    for path in data.glob(gone):
        path.unlink()
    assert refill(data) == REFUSED
    assert "cannot be told what was sent" in capsys.readouterr().err


def test_what_cannot_lose_anything_is_not_filled(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refill(data, sink='kind = "http"\nurl = "http://127.0.0.1:9/"') == REFUSED
    assert "a queue or a stream can be filled again" in capsys.readouterr().err
