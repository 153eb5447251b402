"""`sortline explain`: from an event, wherever it is now, to the records that speak of the same thing."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.contracts import Emitted, OutRow
from engine.explain import keys_of
from engine.journal import Journal
from engine.outbox import SqliteOutbox
from tests.integration.test_redis_sink import send, sink_on
from tests.peers import Peer
from tests.unit.test_replay import LINES, recording, replay

DONE, REFUSED = 0, 1
OTHERS = [
    b'{"src":"dc1/pick/PTL-09","seq":1,"kind":"pick.confirm","task":"T-2","sku":"S","qty":1,"t":5,"t_rx":5}\n',
    b"not a record\n",
    b'{"src":"dc1/wms","kind":"order.released","order":"O-78","rev":1,"lines":[{"line":1,"sku":"S","qty":2}],"t_rx":5}\n',
]


def told(folder: Path, delivered: bool = False) -> tuple[list[dict[str, Any]], str]:
    """A data folder whose outbox has the story's events, and the recording that they came from."""
    path = recording(folder / "in.ndjson", OTHERS + LINES)
    _, events = replay(recording(folder / "story.ndjson", LINES), folder / "out.ndjson")
    data = folder / "data"
    outbox = SqliteOutbox(
        data / "outbox.sqlite",
        routes={"pick.confirmed": {"erp": "erp.inventory"}, "carton.closed": {"erp": "erp.inventory"}},
        sinks=["erp"],
        rows_max=1_000,
    )
    outbox.append([emitted(n, event) for n, event in enumerate(events, 1)])
    if delivered:
        outbox.advance(outbox.lanes("erp")[0].number, len(events), delivered=len(events))
    outbox.close()
    return events, path


def emitted(sequence: int, event: dict[str, Any]) -> Emitted:
    body = json.dumps(event).encode()
    type_ = event["type"].removeprefix("io.sortline.").removesuffix(".v1")
    return Emitted(sequence, event["id"], type_, event["partitionkey"], body, hashlib.sha256(body).digest()[:16])


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["explain", *arguments, "--json"]) == DONE
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_pick_is_explained_by_its_order_its_task_and_what_was_picked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, path = told(tmp_path)
    event, *found = explained(capsys, events[0]["id"], str(tmp_path / "data"), "--records", path)
    assert event["event"] == events[0]
    assert [(each["record"]["kind"], each["record"].get("seq")) for each in found] == [
        ("order.released", None),
        ("pick.task", None),
        ("pick.confirm", 1),
        ("pick.confirm", 1),
        ("pick.confirm", 2),
    ]
    task = "task=T-1001"
    assert [each["why"] for each in found] == ["order=O-77 line=1", task, task, task, "decided"]
    capsys.readouterr()
    assert main(["explain", events[0]["id"], str(tmp_path / "data"), "--records", path, "--limit", "2"]) == DONE
    text = capsys.readouterr().out
    assert "causationid    dc1/pick/PTL-02/0/2/0" in text
    assert "... and more" in text


def test_a_carton_is_explained_by_what_names_its_load_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events, path = told(tmp_path)
    _, *found = explained(capsys, events[1]["id"], str(tmp_path / "data"), "--records", path)
    assert [each["record"]["kind"] for each in found][-1] == "carton.close"
    assert all(each["record"].get("lu") == "L-1" for each in found)


def test_the_journal_of_the_folder_is_read_where_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, _ = told(tmp_path)
    journal = Journal(tmp_path / "data" / "journal", bytes_max=1 << 20)
    list(journal.recover())
    journal.append(b"".join(LINES))
    journal.close()
    _, *found = explained(capsys, events[0]["id"], str(tmp_path / "data"))
    assert len(found) == 5


@pytest.mark.peer("redis-server")
def test_an_event_that_only_redis_still_has_is_found_there(
    redis_server: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events, path = told(tmp_path, delivered=True)
    site = tmp_path / "site.toml"
    sink = f'[sinks.erp]\nkind = "redis"\nport = {redis_server.port}\n'
    site.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{tmp_path}/data"\n{sink}')
    assert main(["explain", events[1]["id"], str(site), "--records", path]) == REFUSED
    assert "was told as event 2, but every sink has it" in capsys.readouterr().err

    async def fill() -> None:
        bodies = [(event["id"], json.dumps(event).encode()) for event in events]
        rows = [OutRow(n, id_, "x", "erp.inventory", "k", body) for n, (id_, body) in enumerate(bodies, 1)]
        await send(sink_on(redis_server.port), rows)

    asyncio.run(fill())
    event, *found = explained(capsys, events[1]["id"], str(site), "--records", path)
    assert event["event"] == events[1]
    assert found


def test_an_id_that_nobody_told_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path)
    assert main(["explain", "pc1.never:r0", str(tmp_path / "data")]) == REFUSED
    assert "no event pc1.never:r0" in capsys.readouterr().err
    assert main(["explain", "x", str(tmp_path)]) == REFUSED
    assert "there is no outbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"subject": "line/O/n/7", "data": {}}, [{"order": "O/n", "line": 7}]),
        ({"subject": "stock/A-1/SKU-7/LOT", "data": {}}, [{"loc": "A-1", "sku": "SKU-7"}]),
        ({"subject": "shipment/S-1", "data": {"cartons": ["C-1", {"carton": "C-2"}]}},
         [{"shipment": "S-1"}, {"carton": "C-1"}, {"lu": "C-1"}, {"from_lu": "C-1"},
          {"carton": "C-2"}, {"lu": "C-2"}, {"from_lu": "C-2"}]),
        ({"subject": "carton/T-9#3", "data": {"carton": "T-9#3", "lu": "T-9"}},
         [{"carton": "T-9#3"}, {"lu": "T-9"}, {"from_lu": "T-9"}, {"carton": "T-9"}]),
        ({"data": {"rma": "R-1", "sku": "S"}}, [{"rma": "R-1", "sku": "S"}]),
        ({}, []),
    ],
)  # fmt: skip
def test_what_an_event_is_found_by(event: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert keys_of(event) == expected
