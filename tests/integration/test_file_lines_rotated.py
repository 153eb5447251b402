"""Files and pipes that others take the place of, more than once, while nobody reads."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.errors import Refused
from protocols.file_lines.bookmark import Finished, Place, place_of, renamed_after
from protocols.file_lines.driver import Driver, readable
from protocols.file_lines.settings import Settings
from tests.integration.test_file_lines_driver import append, gone, line, reading, run, seen
from tests.ledger import Ledger, running
from tests.modbus import RememberingIntake, until


@pytest.fixture(autouse=True)
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.file_lines.driver.LINGER_S", 0.1)


def rotate(path: Path, *names: str) -> None:
    """As logrotate does: each of these names is given to the file that had the name before it."""
    for older, newer in zip(names[::-1], [*names[-2::-1], path.name], strict=True):
        if (path.parent / newer).exists():
            (path.parent / newer).rename(path.parent / older)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("lines", ("lines.1", "lines.2", "lines.3")),
        ("l2.ndjson", ("l2-20261129.ndjson", "l2-20261128.ndjson", "l2-20261127.ndjson")),
    ],
)
def test_all_files_of_several_rotations_while_we_were_away_are_read_in_their_order(
    tmp_path: Path, name: str, names: tuple[str, ...]
) -> None:
    async def story() -> None:
        path, bookmark = tmp_path / name, str(tmp_path / "mark")
        append(path, line(1))
        rotate(path, *names)
        append(path, line(2))
        first = RememberingIntake()
        async with reading(first, path, bookmark=bookmark):
            await until(lambda: seen(first) == [2])
        for seq in (3, 5, 7):
            append(path, line(seq))
            rotate(path, *names)
            await asyncio.sleep(0.02)  # a file system counts time in steps
            append(path, line(seq + 1))
        for stranger in ("l1-20261129.ndjson", "l3.ndjson", f"{names[0]}.gz", "other.9"):
            append(tmp_path / stranger, line(99))
        second = RememberingIntake()
        async with reading(second, path, bookmark=bookmark):
            await until(lambda: seen(second)[-1:] == [8])
            append(path, line(9))
            await until(lambda: seen(second)[-1:] == [9])
        # the first of them has lost its name for good, as the oldest of three
        assert seen(second) == [3, 4, 5, 6, 7, 8, 9]

    run(story())


def renamed_by_number(path: Path, seq: int) -> None:
    rotate(path, "lines.1", "lines.2", "lines.3")


def renamed_by_date_and_packed(path: Path, seq: int) -> None:
    by_date = path.with_name(f"lines-2026112{seq}")
    path.rename(by_date)
    pack(by_date)


@pytest.mark.parametrize("loses_its_name", [renamed_by_number, renamed_by_date_and_packed])
def test_all_files_of_several_rotations_while_the_engine_is_full_are_read(
    tmp_path: Path, loses_its_name: Callable[[Path, int], None]
) -> None:
    async def story() -> None:
        path, ledger = tmp_path / "lines", Ledger()
        append(path, line(1))
        settings = Settings(path=str(path), poll_ms=5)
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
            ledger.open.clear()
            for seq in (2, 3, 4):
                append(path, line(seq))
                loses_its_name(path, seq)
                await asyncio.sleep(0.02)
            append(path, line(5))
            ledger.open.set()
            await ledger.until(lambda: ledger.facts[-1]["seq"] == 5)
        assert [record["seq"] for record in ledger.facts] == [1, 2, 3, 4, 5]

    run(story())


def test_a_file_that_is_renamed_while_others_are_looked_for_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a rotation each second that happened in one of ten."""
    path, intake, looks = tmp_path / "lines", RememberingIntake(), []

    def look(*args: Any) -> Path | None:
        found = renamed_after(*args)
        looks.append(found)
        if len(looks) == 1:
            rotate(path, "lines.1", "lines.2", "lines.3")
            append(path, line(3))
        return found

    async def story() -> None:
        monkeypatch.setattr("protocols.file_lines.driver.renamed_after", look)
        append(path, line(1))
        async with reading(intake, path):
            await until(lambda: seen(intake) == [1])
            rotate(path, "lines.1", "lines.2", "lines.3")
            append(path, line(2))
            await until(lambda: seen(intake)[-1:] == [3])

    run(story())
    assert seen(intake) == [1, 2, 3]


def test_nobody_lingers_over_a_file_when_the_next_one_was_written_to_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or each would take a second, and files that are rotated each second be more and more behind."""
    monkeypatch.setattr("protocols.file_lines.driver.LINGER_S", 3_600.0)

    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        for seq in range(1, 6):
            append(path, line(seq))
            os.utime(path, (10_000 * seq, 10_000 * seq))
            if seq == 1:
                made = reading(intake, path)
                await made.__aenter__()
                await until(lambda: seen(intake) == [1])
            if seq < 5:
                rotate(path, *(f"lines.{number}" for number in range(1, 6)))
        await until(lambda: seen(intake) == [1, 2, 3, 4, 5])
        await made.__aexit__(None, None, None)

    run(story())


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("grows", [False, True])
def test_what_was_not_read_of_a_file_before_it_was_cut_is_read_from_its_copy(
    tmp_path: Path, grows: bool, is_away: bool
) -> None:
    """As logrotate's `copytruncate` does; the file may have grown beyond its old length before anybody looks."""

    async def story() -> None:
        path, ledger, bookmark = tmp_path / "lines", Ledger(), str(tmp_path / "mark")
        settings = Settings(path=str(path), poll_ms=5, bookmark=bookmark)

        def cut() -> None:
            append(path, line(2) + line(3))
            shutil.copy(path, tmp_path / "lines.1")
            os.truncate(path, 0)
            append(path, "".join(line(seq) for seq in range(4, 14 if grows else 5)))

        append(path, line(1, longer="than the fourth"))
        append(tmp_path / "lines.2", line(77) + line(78))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
            if not is_away:
                cut()
                await ledger.until(lambda: ledger.facts[-1]["seq"] == (13 if grows else 4))
        if is_away:
            cut()
            async with running(Driver("lines", settings, ledger, lambda: 1)):
                await ledger.until(lambda: ledger.facts[-1]["seq"] == (13 if grows else 4))
        assert [record["seq"] for record in ledger.facts] == list(range(1, 14 if grows else 5))

    run(story())


def test_a_writer_that_goes_on_where_it_was_in_a_file_that_was_cut_leaves_no_bad_line(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        with path.open("wb", buffering=0) as writer:
            writer.write((line(1) + line(2) * 5_000).encode())
            async with reading(intake, path, line_bytes_max=1_000):
                await until(lambda: len(seen(intake)) == 5_001)
                os.truncate(path, 0)
                writer.write(line(3).encode())
                await until(lambda: seen(intake)[-1:] == [3])
        assert (len(seen(intake)), intake.causes) == (5_002, [])

    run(story())


def pack(path: Path) -> None:
    """As gzip does: the copy gets the time of what it was made of, which is removed."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns // 1_000 * 1_000))
    path.unlink()


@pytest.mark.parametrize("has_delay", [False, True])
def test_files_that_are_packed_at_once_while_we_are_away_are_read(tmp_path: Path, has_delay: bool) -> None:
    """`has_delay`: the last one that was renamed is left as it is."""

    async def story() -> None:
        path, ledger = tmp_path / "lines", Ledger()
        settings = Settings(path=str(path), poll_ms=5, bookmark=str(tmp_path / "mark"))
        (tmp_path / "lines.9.gz").write_bytes(gzip.compress(line(77).encode()))
        append(path, line(1))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
        append(path, line(2))
        for seq in (3, 4, 5):
            for number in (2, 1):
                if (older := tmp_path / f"lines.{number}.gz").exists():
                    older.rename(tmp_path / f"lines.{number + 1}.gz")
            if (before := tmp_path / "lines.1").exists():
                pack(before)
                (tmp_path / "lines.1.gz").rename(tmp_path / "lines.2.gz")
            rotate(path, "lines.1")
            if not has_delay:
                pack(tmp_path / "lines.1")
            await asyncio.sleep(0.02)
            append(path, line(seq))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts[-1]["seq"] == 5)
            append(path, line(6))
            await ledger.until(lambda: ledger.facts[-1]["seq"] == 6)
        assert [record["seq"] for record in ledger.facts] == [1, 2, 3, 4, 5, 6]
        assert ledger.faults == []

    run(story())


def test_a_file_that_is_packed_and_damaged_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        path, ledger = tmp_path / "lines", Ledger()
        settings = Settings(path=str(path), poll_ms=5, bookmark=str(tmp_path / "mark"))
        append(path, line(1))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
        for seq in range(2, 200):
            append(path, line(seq))
        path.rename(tmp_path / "lines.1")
        pack(tmp_path / "lines.1")
        packed = (tmp_path / "lines.1.gz").read_bytes()
        (tmp_path / "lines.1.gz").write_bytes(packed[:-20])
        await asyncio.sleep(0.02)
        append(path, line(200))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts[-1]["seq"] == 200)
        assert [cause for cause, _ in ledger.faults] == [
            "lines.1.gz: cannot be unpacked: what was not read of it is lost"
        ]

    run(story())


def place_at(path: Path, offset: int) -> Place:
    with path.open("rb") as file:
        return place_of(file.fileno(), offset)


@pytest.mark.parametrize("at_its_beginning", [False, True])
def test_what_followed_a_file_that_is_gone_is_read_all_the_same(tmp_path: Path, at_its_beginning: bool) -> None:
    """More files came while we were away than are kept. What is before the bookmark was read."""

    async def story() -> None:
        path, ledger = tmp_path / "lines", Ledger()
        settings = Settings(path=str(path), poll_ms=5, bookmark=str(tmp_path / "mark"))
        names = [f"lines.{number}" for number in range(1, 10)]
        append(path, line(1))
        rotate(path, *names)
        append(path, line(2))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts)
        if at_its_beginning:
            (tmp_path / "mark").write_bytes(msgspec.json.encode(place_at(path, 0)))
        for seq in (3, 4, 5):
            rotate(path, *names)
            await asyncio.sleep(0.02)
            append(path, line(seq))
        (tmp_path / "lines.3").unlink()
        if at_its_beginning:  # and the inode went to the file that has the name now
            mark = msgspec.json.decode((tmp_path / "mark").read_bytes(), type=Place)
            reused = msgspec.structs.replace(mark, inode=path.stat().st_ino)
            (tmp_path / "mark").write_bytes(msgspec.json.encode(reused))
        async with running(Driver("lines", settings, ledger, lambda: 1)):
            await ledger.until(lambda: ledger.facts[-1]["seq"] == 5)
        assert [record["seq"] for record in ledger.facts] == [2, 3, 4, 5]
        assert [cause for cause, _ in ledger.faults] == [
            "the file of the bookmark is gone: what was not read of it is lost"
        ]

    run(story())


def test_a_file_that_was_read_is_known_by_what_it_begins_with(tmp_path: Path) -> None:
    """The inode of one that was removed goes to the next one."""
    path, finished = tmp_path / "lines", Finished()
    append(path, line(1))
    with path.open("rb") as file:
        finished.add(file.fileno())
    append(path, line(2))
    assert finished.has(str(path), path.stat())
    path.write_text(line(3))
    assert not finished.has(str(path), path.stat())
    finished.keep(set())
    path.write_text(line(1))
    assert not finished.has(str(path), path.stat())


def test_a_pipe_that_is_made_anew_is_opened_anew(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "pipe", RememberingIntake()
        os.mkfifo(path)
        async with reading(intake, path, scope=["dc1/a/"]):
            for seq in (1, 2, 3):
                writer = await asyncio.to_thread(os.open, path, os.O_WRONLY)
                os.write(writer, line(seq).encode())
                os.close(writer)
                await until(partial(gone, intake, seq))
                path.unlink()
                await asyncio.sleep(0.03)
                os.mkfifo(path)
        assert seen(intake) == [1, 2, 3]

    run(story())


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    async def story() -> None:
        path, intake = tmp_path / "lines", RememberingIntake()
        path.write_text(line(1) + line(2), encoding="utf-8-sig")
        async with reading(intake, path):
            await until(lambda: seen(intake)[-1:] == [2])
        assert seen(intake) == [1, 2]

    run(story())


@pytest.mark.parametrize("same", ["lines", "../{}/lines", "link"])
def test_the_file_that_is_read_is_not_written_over_by_its_bookmark(tmp_path: Path, same: str) -> None:
    path = tmp_path / "lines"
    append(path, line(1))
    (tmp_path / "link").symlink_to(path)
    settings = Settings(path=str(path), bookmark=str(tmp_path / same.format(tmp_path.name)))
    assert list(settings.faults()) == [("bookmark", "is the file that is read: it would be written over")]


def test_what_cannot_be_read_is_named_itself(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"lines\.1: cannot be read: Not a directory"), readable(str(tmp_path / "lines")):
        append(tmp_path / "file", "")
        os.open(tmp_path / "file" / "lines.1", os.O_RDONLY)


def test_a_folder_in_its_place_is_called_one(tmp_path: Path) -> None:
    async def story() -> None:
        ledger = Ledger()
        settings = Settings(path=str(tmp_path / "lines"), poll_ms=5)
        reads = asyncio.create_task(Driver("lines", settings, ledger, lambda: 1).run())
        await ledger.until(lambda: ledger.states)
        (tmp_path / "lines").mkdir()
        with pytest.raises(Refused, match=r"lines: is a folder$"):
            await asyncio.wait_for(reads, 60)

    run(story())
