"""What is refused on the way in, and `sortline dlq` beside a running pipeline: real files, the command itself."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from engine.accounts import account
from engine.cli import main
from engine.contracts import Delivery, OutRow
from engine.dead_letters import LETTER_BYTES, DeadLetters
from engine.errors import Full, Refused, Undeliverable
from engine.letter import LINE, PAYLOAD, Cause, Refusal
from engine.refusals import WAITING_BYTES_MAX, Refusals
from engine.sqlite_file import _witness
from tests.integration.test_pipeline import ListSink, Rig, names, until

DONE, REFUSED = 0, 1


class Picky(ListSink):
    """Will never take some of the events."""

    def __init__(self, *never: str) -> None:
        super().__init__()
        self.never = set(never)

    async def send(self, rows: Sequence[OutRow]) -> None:
        for row in rows:
            if row.id in self.never:
                raise Undeliverable("no such order", position=row.position, again=row.again, code=422)
        await super().send(rows)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(bounded())


async def dlq(folder: Path, *arguments: str) -> int:
    """The command, beside the engine's event loop."""
    action, *rest = arguments
    return await asyncio.to_thread(main, ["dlq", action, str(folder / "dead.sqlite"), *rest])


async def nobody(delivery: Delivery) -> None:
    raise AssertionError("nobody asked for it")


def test_a_refused_event_is_sent_again_when_somebody_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> None:
        sink = Picky("LU-2", "LU-4")
        rig = Rig(tmp_path, {"erp": sink})
        await rig.pipeline.start()
        await rig.put(*names(1, 5))
        await until(lambda: len(sink.rows) == 3)
        assert await dlq(tmp_path, "ls", "--json") == DONE
        listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(letter["id"], letter["class"], letter["code"]) for letter in listed] == [
            ("LU-2", "permanent", "Undeliverable 422"),
            ("LU-4", "permanent", "Undeliverable 422"),
        ]
        sink.never.clear()
        assert await dlq(tmp_path, "replay", "--source", "erp") == DONE
        assert "2 letters would be sent again; do it with --yes" in capsys.readouterr().out
        await asyncio.sleep(1.2)
        assert len(sink.rows) == 3  # that was only a question
        assert await dlq(tmp_path, "replay", "1", "--yes") == DONE
        assert "audit: " in capsys.readouterr().err
        await until(lambda: len(sink.rows) == 4 and "replayed/erp/erp" in rig.letters.counts())
        assert await dlq(tmp_path, "discard", "--class", "permanent", "--yes") == DONE
        await rig.put("LU-6")
        await until(lambda: len(sink.rows) == 5)
        await until(lambda: account(rig.pipeline._outbox, rig.letters, "erp") == (6, 5, 0, 1))
        assert [row.id for row in sink.rows] == ["LU-1", "LU-3", "LU-5", "LU-2", "LU-6"]
        assert rig.letters.counts() == {"replayed/erp/erp": 1, "discarded/erp/erp": 1}
        await rig.pipeline.stop()

    run(story)
    capsys.readouterr()
    assert main(["dlq", "audit", str(tmp_path / "dead.sqlite")]) == DONE
    steps = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
    assert steps == ["replay", "delivered", "discard"]


def test_a_payload_is_a_dead_letter_before_it_is_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        kept: list[int] = []

        def ack() -> None:
            kept.append(len(rig.letters.find()))

        rig.pipeline.fault("scanner", "seq: not an integer", b"\x00\xffgarbage")
        await rig.pipeline.put(Delivery("scanner", [], ack))
        await until(lambda: kept == [1])
        await rig.pipeline.stop()

    run(story)
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 0)
    (letter,) = letters.find()
    assert (letter.kind, letter.source, letter.reason, letter.raw) == (
        "payload",
        "scanner",
        "seq: not an integer",
        b"\x00\xffgarbage",
    )
    letters.close()


def test_where_a_payload_came_from_is_kept_and_what_comes_often_is_held_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of a thousand elements none of which fits is one letter, however long the list is."""

    async def story() -> None:
        letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
        refusals = Refusals(letters, nobody)
        for place in ("dc1/PTL-01/evt", "dc1/PTL-02/evt"):
            for _ in range(1_000):
                refusals.add(PAYLOAD, "floor", "qty: not a number", b"x" * 200_000, place)
        await refusals.flush()
        refusals.add(PAYLOAD, "floor", "qty: not a number", b"x" * 200_000, "dc1/PTL-02/evt")
        await refusals.flush()
        assert [(letter.queue, letter.attempts) for letter in letters.find()] == [
            ("dc1/PTL-01/evt", 1_000),
            ("dc1/PTL-02/evt", 1_001),
        ]
        assert letters.counts() == {"payloads": 2}
        letters.close()

    run(story)
    assert main(["dlq", "ls", str(tmp_path / "dead.sqlite")]) == 0
    assert "200000 bytes dc1/PTL-02/evt: refused: qty: not a number" in capsys.readouterr().out


def test_refusals_that_wait_have_a_cap_also_where_they_are_empty(tmp_path: Path) -> None:
    refusals = Refusals(DeadLetters(tmp_path / "dead.sqlite", lambda: 5), nobody)
    for number in range(30_000):
        refusals.add("payload", "plc", "empty", b"", f"dc1/{number}")
    assert len(refusals._waiting) * LETTER_BYTES <= WAITING_BYTES_MAX
    assert len(refusals._waiting) + refusals._left_out == 30_000


def test_a_source_that_is_called_like_a_sink_is_not_in_its_account(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path, {"erp": Picky("LU-2")})
        rig.letters.refuse(Counter([Refusal(LINE, "erp", "torn", b"{}")]))
        (letter,) = rig.letters.find()
        rig.letters.line_is_back(letter)
        await rig.pipeline.start()
        await rig.put(*names(1, 2))
        await until(lambda: account(rig.pipeline._outbox, rig.letters, "erp") == (2, 1, 0, 1))
        await rig.pipeline.stop()

    run(story)


def test_a_line_that_was_refused_goes_through_the_decoder_again(tmp_path: Path) -> None:
    async def story() -> None:
        rig = Rig(tmp_path)
        await rig.pipeline.start()
        await rig.pipeline.put(Delivery("scanner", [b'{"kind":"scan.read"'] * 3))
        await until(lambda: [letter.attempts for letter in rig.letters.find()] == [3])
        assert rig.core.rejected == 3
        assert await dlq(tmp_path, "replay", "--kind", "line", "--yes", "--rate", "1000") == DONE
        await until(lambda: rig.core.rejected == 4)
        await until(lambda: [letter.state for letter in rig.letters.find()] == ["dead"])
        await rig.pipeline.stop()

    run(story)


def test_refused_payloads_leave_room_for_events(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5, bytes_max=20_000)
    noise = [Refusal(PAYLOAD, "plc", "torn", bytes([n]) * 100) for n in range(100)]
    assert letters.refuse(Counter(noise)) == 100 - 10_000 // 612
    assert letters.refuse(Counter(noise[:1])) == 0  # the same again needs no room
    assert letters.find(limit=1)[0].attempts == 2
    assert letters.counts() == {"payloads": 16, "refused/left out": 84}
    assert letters.size() <= 10_000
    letters.close()


def test_what_the_letters_take_is_known_without_reading_them_each_time(tmp_path: Path) -> None:
    letters, command = (DeadLetters(tmp_path / "dead.sqlite", lambda: 5, bytes_max=100_000) for _ in range(2))
    counted = 0

    def trace(statement: str) -> None:
        nonlocal counted
        counted += "sum(size)" in statement

    def holds() -> bool:
        return letters.size() == sum(0 if each.state == "discarded" else len(each.raw) + 512 for each in letters.find())

    letters._file.set_trace_callback(trace)
    for n in range(20):
        letters.refuse(
            Counter([Refusal(PAYLOAD, "plc", "torn", b"x" * n), Refusal(PAYLOAD, "plc", "torn", b"x" * (n // 2))])
        )
        letters.bury("erp", [OutRow(n + 1, f"e{n}", "t", "q", "k", b"body")], Cause("permanent", "422", "no"))
        letters.bury("erp", [OutRow(n + 1, f"e{n}", "t", "q", "k", b"body")], Cause("permanent", "422", "no"))
    assert counted == 1
    assert holds()
    with pytest.raises(Full):
        letters.bury("erp", [OutRow(99, "e99", "t", "q", "k", b"x" * 100_000)], Cause("permanent", "422", "no"))
    assert holds()
    command.discard([letter.number for letter in command.find(limit=10)], "me")
    letters.refuse(Counter([Refusal(PAYLOAD, "plc", "torn", b"new")]))
    assert holds()
    for letter in letters.find(kind="event")[:3]:
        letters.delivered(letter)
    counted = 0
    assert holds()
    assert counted == 0
    letters.forget("erp", "q", 5, None)
    assert holds()
    letters.close()
    command.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay"], "which letters?"),
        (["discard", "--yes"], "which letters?"),
        (["replay", "9"], "there is no such letter: 9"),
        (["discard", "--source", "nobody", "--yes"], "no letter fits"),
        (["replay", "1", "--yes"], "only its source can send it once more"),
        (["show", "7"], "there is no letter 7"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    path = tmp_path / "dead.sqlite"
    letters = DeadLetters(path, lambda: 5)
    letters.refuse(Counter([Refusal(PAYLOAD, "plc", "torn", b"x")]))
    action, *rest = arguments
    assert main(["dlq", action, str(path), *rest]) == REFUSED
    assert says in capsys.readouterr().err
    assert len(letters.find()) == 1
    letters.close()


def test_a_place_without_letters_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dlq", "ls", str(tmp_path / "dead.sqlite")]) == REFUSED
    assert "there are no dead letters" in capsys.readouterr().err
    (tmp_path / "dead.sqlite").write_bytes(b"not a database, at least 16 bytes of it")
    with pytest.raises(Refused, match="Move it away"):
        DeadLetters(tmp_path / "dead.sqlite", lambda: 0)


def test_a_letter_is_shown_without_speaking_to_the_terminal_and_exported_with_all_its_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = b"\x1b[31m" + b"x" * 5_000
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 1_700_000_000_000_000)
    letters.refuse(Counter([Refusal(LINE, "plc", "torn", raw)]))
    letters.close()
    assert main(["dlq", "show", str(tmp_path / "dead.sqlite"), "1"]) == DONE
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "2023-11-14T22:13:20Z" in shown
    output = tmp_path / "letters.ndjson"
    assert main(["dlq", "export", str(tmp_path / "dead.sqlite"), "--out", str(output)]) == DONE
    assert output.stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(json.loads(output.read_text())["raw_base64"]) == raw
    assert main(["dlq", "export", str(tmp_path / "dead.sqlite"), "--output", str(output)]) == REFUSED
    assert "is there already" in capsys.readouterr().err


def test_refused_payloads_wait_while_another_process_holds_the_file(tmp_path: Path) -> None:
    async def story() -> None:
        letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
        letters._file.execute("PRAGMA busy_timeout = 1")

        async def put(delivery: Delivery) -> None:
            raise AssertionError("nobody asked for it")

        refusals = Refusals(letters, put)
        with sqlite3.connect(tmp_path / "dead.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            refusals.add(PAYLOAD, "plc", "torn", b"1")
            await refusals.flush()
            other.execute("ROLLBACK")
        refusals.add(PAYLOAD, "plc", "torn", b"2")
        await refusals.flush()
        assert [letter.raw for letter in letters.find()] == [b"1", b"2"]
        letters.close()

    run(story)


@pytest.mark.parametrize("cancelled", [False, True])
def test_nobody_is_acknowledged_while_a_flush_that_has_his_payload_is_on_its_way(
    tmp_path: Path, cancelled: bool
) -> None:
    async def story() -> None:
        letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
        refusals = Refusals(letters, nobody)
        with sqlite3.connect(tmp_path / "dead.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            refusals.add(PAYLOAD, "plc", "torn", b"1")
            first = asyncio.create_task(refusals.flush())
            await asyncio.sleep(0.05)
            if cancelled:
                first.cancel()
            second = asyncio.create_task(refusals.flush())
            await asyncio.sleep(0.05)
            assert not second.done()
            other.execute("ROLLBACK")
        await second
        assert [letter.raw for letter in letters.find()] == [b"1"]
        await asyncio.gather(first, return_exceptions=True)
        letters.close()

    run(story)


class Wanted:
    """Lines among the dead letters that somebody wants back, and what came back of them."""

    def __init__(self, folder: Path, rate: float) -> None:
        self.letters = DeadLetters(folder / "dead.sqlite", lambda: 5)
        self.letters.refuse(Counter([Refusal(LINE, "plc", "torn", bytes([n])) for n in range(2)]))
        self.letters.want([letter.number for letter in self.letters.find()], rate, "me")
        self.letters._file.execute("PRAGMA busy_timeout = 1")
        self.came: list[bytes] = []
        self.refusals = Refusals(self.letters, self._put)

    async def _put(self, delivery: Delivery) -> None:
        self.came.extend(delivery.lines)
        assert delivery.ack is not None
        delivery.ack()


def test_lines_that_come_back_slowly_hold_up_no_refusal(tmp_path: Path) -> None:
    async def story() -> None:
        wanted = Wanted(tmp_path, rate=0.01)
        refusals = wanted.refusals
        tasks = [asyncio.create_task(refusals.take_back()), asyncio.create_task(refusals.run())]
        await until(lambda: wanted.came == [b"\x00"])
        refusals.add(PAYLOAD, "plc", "torn", b"news")
        await until(lambda: len(wanted.letters.find(kind=PAYLOAD)) == 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wanted.letters.close()

    run(story)


def test_lines_that_come_back_while_another_process_holds_the_file_come_once(tmp_path: Path) -> None:
    async def story() -> None:
        wanted = Wanted(tmp_path, rate=0)
        with sqlite3.connect(tmp_path / "dead.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            task = asyncio.create_task(wanted.refusals.take_back())
            await asyncio.sleep(1.5)
            assert not task.done()
            other.execute("ROLLBACK")
        await until(lambda: wanted.letters.find() == [])
        assert wanted.came == [b"\x00", b"\x01"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        wanted.letters.close()

    run(story)


def test_many_letters_are_discarded_in_small_steps(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
    letters.refuse(Counter([Refusal(PAYLOAD, "plc", "torn", n.to_bytes(2, "big")) for n in range(1_000)]))
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    letters._file.set_trace_callback(count)
    assert letters.discard([letter.number for letter in letters.find()], "me") == 1_000
    letters._file.set_trace_callback(None)
    assert commits >= 10
    assert letters.find() == []
    assert letters.counts() == {"discarded/plc/": 1_000}
    letters.close()


@pytest.mark.parametrize("in_order", [False, True])
def test_a_letter_costs_no_more_where_there_are_many(tmp_path: Path, in_order: bool) -> None:
    """Of 100 000 letters the next one was looked for a minute long, or a sixth of a second without `hold_key`."""
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
    rows = [OutRow(n, f"e{n}", "t", "q", f"k{n % 50}", b"body") for n in range(1, 3_001)]
    letters.bury("erp", rows, Cause("permanent", "422", "no"))
    letters.want(range(1, 3_001), 0, "me")
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 100

    letters._file.set_progress_handler(count, 100)
    for n in (1, 2):
        letter = letters.next_wanted("erp", "q", in_order=in_order)
        assert letter is not None
        assert letter.number == n
        begun = letters.begin(letter, 3_000)
        assert begun is not None
        letters.delivered(begun)
        assert letters.has_key("erp", "q", letter.partitionkey)
    assert steps < 10_000
    letters.close()


def test_letters_are_exported_without_all_of_them_in_memory(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "dead.sqlite", lambda: 5)
    letters.refuse(Counter([Refusal(PAYLOAD, "plc", "torn", n.to_bytes(2, "big") * 50_000) for n in range(400)]))
    letters.close()
    tracemalloc.start()
    assert main(["dlq", "export", str(letters.path), "--out", str(tmp_path / "letters.ndjson")]) == DONE
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len((tmp_path / "letters.ndjson").read_bytes().splitlines()) == 400
    assert most < 30_000_000


def test_letters_of_an_earlier_version_are_kept_and_found_as_fast(tmp_path: Path) -> None:
    path = tmp_path / "dead.sqlite"
    letters = DeadLetters(path, lambda: 1)
    letters.bury(
        "erp", [OutRow(7, "id-7", "carton.closed", "q", "C-1", b"{}", 0)], Cause("data", "422", "no such order")
    )
    letters.close()
    with sqlite3.connect(path) as file:  # version 1 was the same without these
        indexes = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'")}
        for name in indexes:
            file.execute(f"DROP INDEX {name}")
        file.execute("PRAGMA user_version = 1")
        file.execute(f"PRAGMA application_id = {_witness(1)}")
    file.close()
    letters = DeadLetters(path, lambda: 2)
    assert [letter.id for letter in letters.find()] == ["id-7"]
    letters.close()
    with sqlite3.connect(path) as file:
        found = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'")}
    file.close()
    assert found == indexes != set()
