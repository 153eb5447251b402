"""Lines of files that grow, are renamed and cut, of pipes and of standard input: real ones, and a real engine."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Refused
from engine.overload import Overload, Policy
from engine.whole_file import write_whole
from protocols.file_lines import driver as file_lines
from protocols.file_lines.decode import Cutter
from protocols.file_lines.driver import Driver
from protocols.file_lines.settings import Settings
from tests.ledger import Ledger, running
from tests.modbus import RememberingIntake, until

ROOT = Path(__file__).parents[2]


def reading(
    intake: RememberingIntake, path: Path | str, **options: Any
) -> AbstractAsyncContextManager[asyncio.Task[None]]:
    """A driver at work for the time of the `async with`."""
    made = msgspec.convert({"path": str(path), "poll_ms": 5, **options}, Settings)
    assert list(made.faults()) == []
    return running(Driver("lines", made, intake, lambda: 1_700_000_000_000_000))


def line(seq: int, **fields: Any) -> str:
    return json.dumps({"src": "dc1/a/b", "kind": "telemetry", "seq": seq, **fields}) + "\n"


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def seen(intake: RememberingIntake) -> list[int]:
    return [record["seq"] for record in intake.facts]


def gone(intake: RememberingIntake, seq: int) -> bool:
    """The writer of this line has gone."""
    return seen(intake)[-1:] == [seq] and intake.links[-1:] == [("dc1/a", "link.down")]


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_what_is_there_and_what_comes_is_read_a_line_only_when_it_is_whole(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        append(path, line(1) + line(2))
        async with reading(intake, path):
            await until(lambda: seen(intake) == [1, 2])
            append(path, line(3)[:20])
            await asyncio.sleep(0.03)
            assert seen(intake) == [1, 2]
            append(path, line(3)[20:] + "\n\n" + line(4))
            await until(lambda: seen(intake) == [1, 2, 3, 4])
        assert intake.faults == []
        assert intake.lines[0] == {
            "src": "dc1/a/b", "kind": "telemetry", "seq": 1, "t_rx": 1_700_000_000_000_000,
        }  # fmt: skip

    run(story())


def test_a_file_that_is_not_there_yet_is_waited_for_and_its_end_may_be_the_beginning(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        async with reading(intake, path):
            await until(lambda: intake.states)
            append(path, line(1))
            await until(lambda: seen(intake) == [1])
        from_the_end = RememberingIntake()
        async with reading(from_the_end, path, begin="end"):
            await until(lambda: ("up", "") in from_the_end.states)
            append(path, line(2))
            await until(lambda: seen(from_the_end) == [2])

    run(story())


@pytest.mark.parametrize("where", ["a file", "a pipe", "stdin"])
def test_what_can_stay_where_it_is_is_not_shed_on_a_disk_that_fills_up(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overload = Overload(Policy(), {"the disk": lambda: 0.95})
    overload.look()

    async def story() -> None:
        path, ledger = tmp_path / "lines", Ledger()
        if where == "a file":
            append(path, line(1))
        else:
            os.mkfifo(path)
            reader, writer = os.open(path, os.O_RDONLY | os.O_NONBLOCK), os.open(path, os.O_WRONLY)
            os.write(writer, line(1).encode())
            monkeypatch.setattr(file_lines, "STDIN_FD", reader)
        settings = msgspec.convert({"path": "-" if where == "stdin" else str(path), "scope": ["dc1/a"]}, Settings)
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
        (facts,) = [delivery for delivery in ledger.deliveries if b"telemetry" in delivery.lines[0]]
        assert not overload.sheds(facts)

    run(story())


def test_bad_lines_are_counted_and_the_good_ones_beside_them_are_read(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        append(path, "no json\n" + line(1) + line(2, code="x" * 300) + '{"kind":"no.such"}\n' + line(3))
        async with reading(intake, path, line_bytes_max=200):
            await until(lambda: seen(intake) == [1, 3])
        assert intake.causes == ["payload: not JSON", "line: longer than line_bytes_max", "kind: unknown"]

    run(story())


def test_a_renamed_file_is_read_to_its_end_before_the_next_one_and_a_cut_one_anew(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        append(path, line(1))
        async with reading(intake, path):
            await until(lambda: seen(intake) == [1])
            append(path, line(2))
            path.rename(tmp_path / "lines.1")
            append(tmp_path / "lines.1", line(3).rstrip("\n"))
            append(path, line(4))
            await until(lambda: seen(intake) == [1, 2, 3, 4])
            path.write_text("")
            await asyncio.sleep(0.03)
            append(path, line(5))
            await until(lambda: seen(intake) == [1, 2, 3, 4, 5])

    run(story())


def test_a_writer_that_learns_of_the_new_file_late_is_read_to_its_end(tmp_path: Path) -> None:
    """Also where everything stands still for longer than it is waited for."""

    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        append(path, line(1))
        # as logrotate does: the new file is there before the writer hears of it
        with path.open("a", buffering=1) as writer:
            async with reading(intake, path):
                await until(lambda: seen(intake) == [1])
                path.rename(tmp_path / "lines.1")
                path.touch()
                await asyncio.sleep(0.1)
                time.sleep(1.5)
                await asyncio.sleep(0.1)
                for seq in (2, 3):
                    writer.write(line(seq)[:10])
                    await asyncio.sleep(0.1)
                    writer.write(line(seq)[10:])
                append(path, line(4))
                await until(lambda: seen(intake) == [1, 2, 3, 4])
        assert intake.faults == []

    run(story())


def test_a_restart_goes_on_behind_what_was_safe_on_our_disk(tmp_path: Path) -> None:
    async def story() -> None:
        path, bookmark = tmp_path / "lines", tmp_path / "mark"
        first = RememberingIntake(acks=False)
        append(path, "".join(map(line, range(1, 5))))
        async with reading(first, path, bookmark=str(bookmark), batch_lines=2):
            await until(lambda: seen(first) == [1, 2, 3, 4])
            first.owed.pop(0)()  # the first two are on disk, the others are lost with the engine
        second = RememberingIntake()
        append(path, line(5))
        async with reading(second, path, bookmark=str(bookmark)):
            await until(lambda: seen(second) == [3, 4, 5])
        # while nobody read, the file got another name, and more lines before that
        append(path, line(6))
        path.rename(tmp_path / "lines.1")
        append(path, line(7))
        third = RememberingIntake()
        async with reading(third, path, bookmark=str(bookmark)):
            await until(lambda: seen(third) == [6, 7])
        fourth = RememberingIntake()
        async with reading(fourth, path, bookmark=str(bookmark)):
            append(path, line(8))
            await until(lambda: seen(fourth) == [8])
        bookmark.write_bytes(b"\xff broken")
        fifth = RememberingIntake()
        async with reading(fifth, path, bookmark=str(bookmark)):
            await until(lambda: seen(fifth) == [7, 8])
        assert (tmp_path / "mark.bad").exists()

    run(story())


def test_a_slow_write_of_the_bookmark_does_not_come_after_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow_at_first(path: Path, content: bytes) -> None:
        is_first = not begun.is_set()
        begun.set()
        if is_first:
            may_end.wait(60)
        write_whole(path, content)
        if is_first:
            ended.set()

    async def story() -> None:
        path, bookmark = tmp_path / "lines", str(tmp_path / "mark")
        append(path, line(1))
        first = RememberingIntake(acks=False)
        async with reading(first, path, bookmark=bookmark):
            await until(lambda: seen(first) == [1] and begun.is_set())
            first.owed.pop()()
            asyncio.get_running_loop().call_later(0.1, may_end.set)  # after we were told to stop
        await until(ended.is_set)
        append(path, line(2))
        second = RememberingIntake()
        async with reading(second, path, bookmark=bookmark):
            await until(lambda: seen(second)[-1:] == [2])
        assert seen(second) == [2]

    monkeypatch.setattr("protocols.file_lines.bookmark.write_whole", slow_at_first)
    run(story())


def test_another_file_that_got_the_inode_while_we_were_away_is_read_from_its_beginning(tmp_path: Path) -> None:
    """As a file system does that gives the number of a file which was removed to the next one."""

    async def story() -> None:
        path, bookmark = tmp_path / "lines", str(tmp_path / "mark")
        append(path, "".join(map(line, range(1, 5))))
        first = RememberingIntake()
        async with reading(first, path, bookmark=bookmark):
            await until(lambda: seen(first) == [1, 2, 3, 4])
        path.write_text("".join(map(line, range(11, 18))))
        second = RememberingIntake()
        async with reading(second, path, bookmark=bookmark):
            await until(lambda: seen(second)[-1:] == [17])
        assert seen(second) == list(range(11, 18))
        # it got another name, was removed, and a stranger in the folder has its inode
        path.write_text("".join(map(line, range(21, 28))))
        path.rename(tmp_path / "other")
        (tmp_path / "other").write_text(line(98) * 20)
        append(path, line(31))
        third = RememberingIntake()
        async with reading(third, path, bookmark=bookmark):
            await until(lambda: bool(seen(third)))
        assert seen(third) == [31]

    run(story())


def test_a_named_pipe_is_up_as_long_as_somebody_writes(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "pipe", RememberingIntake()
        os.mkfifo(path)
        async with reading(intake, path, scope=["dc1/a/"]):
            for seq in (1, 2):
                writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)
                os.write(writer, line(seq).encode())
                os.close(writer)
                await until(partial(gone, intake, seq))
        assert seen(intake) == [1, 2]
        assert [kind for _, kind in intake.links] == ["link.up", "link.down"] * 2

    run(story())


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/null", "Operation not permitted"), ("/proc/self/mem", "Input/output error")]
)
def test_what_cannot_be_read_is_refused_with_the_systems_reason(path: str, why: str) -> None:
    async def story() -> None:
        with pytest.raises(Refused, match=f"^{path}: cannot be read: {why}$"):
            async with reading(RememberingIntake(), path) as task:
                await asyncio.wait_for(task, 60)

    run(story())


def test_a_renamed_file_that_vanishes_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        path, bookmark = tmp_path / "lines", tmp_path / "mark"
        append(path, line(1))
        before = RememberingIntake()
        async with reading(before, path, bookmark=str(bookmark)):
            await until(lambda: seen(before) == [1])
        # seen in the folder, and removed before it is opened
        monkeypatch.setattr("protocols.file_lines.driver.renamed", lambda *_: tmp_path / "lines.1")
        intake = RememberingIntake()
        async with reading(intake, path, bookmark=str(bookmark)):
            append(path, line(2))
            await until(lambda: seen(intake) == [2])

    run(story())


def test_json_of_others_is_mapped(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        append(path, '{"ty":"W","g":250,"tote":"T-1"}\n{"ty":"other"}\n')
        async with reading(
            intake,
            path,
            format="json",
            when={"ty": "W"},
            constants={"src": "dc1/pack/SCL-01"},
            record={"kind": {"const": "weigh"}, "lu": "tote", "weight_g": "g"},
        ):
            await until(lambda: intake.facts)
        assert [(record["lu"], record["weight_g"]) for record in intake.facts] == [("T-1", 250)]

    run(story())


SITE = """
site = "dc1"
[engine]
data_dir = "{data}"
[sources.wcs]
protocol = "file_lines"
path = "-"
constants = {{ src = "dc1/wcs/main" }}
"""


@pytest.mark.parametrize("is_file", [False, True])
def test_the_engine_reads_standard_input(tmp_path: Path, is_file: bool) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(data=tmp_path / "data"))
    orders = tmp_path / "orders"
    order = {"kind": "order.released", "order": "O-1", "rev": 1, "lines": [{"line": 1, "sku": "S", "qty": 2}]}
    pick = {"kind": "pick.confirm", "src": "dc1/pick/P", "order": "O-1", "line": 1, "sku": "S", "qty": 2, "seq": 1}
    orders.write_text("".join(json.dumps(record) + "\n" for record in (order, pick)))
    command = [sys.executable, "-m", "engine.cli", "run", str(site)]
    with (
        orders.open("rb") as file,
        subprocess.Popen(
            command, cwd=ROOT, stdin=file if is_file else subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as engine,
    ):
        try:
            if engine.stdin is not None:
                engine.stdin.write(orders.read_text())
                engine.stdin.close()
            peek = [sys.executable, "-m", "engine.cli", "queue", "peek", str(site), "erp.inventory"]

            def told() -> bool:
                return "pick.confirmed" in subprocess.run(peek, cwd=ROOT, capture_output=True, text=True).stdout

            asyncio.run(until(told))
        finally:
            engine.terminate()


@given(st.lists(st.binary(max_size=30), max_size=12), st.data())
def test_any_cut_gives_the_same_lines(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[one:other] for one, other in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    def lines(fed: list[bytes]) -> list[tuple[bytes | None, int]]:
        cutter = Cutter(12)
        found = [cut for part in fed for cut in cutter.feed(part)] + cutter.end()
        return [(cut.line, cut.size) for cut in found]

    whole = lines([stream])
    assert lines(parts) == whole
    assert lines([stream[at : at + 1] for at in range(len(stream))]) == whole
    assert sum(size for _, size in whole) == len(stream)
    expected = [piece if len(piece) <= 12 else None for piece in stream.split(b"\n")]
    assert [found for found, _ in whole] == (expected if not stream or stream[-1:] != b"\n" else expected[:-1])[
        : len(whole)
    ]
