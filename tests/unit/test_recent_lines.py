"""What the journal's end holds of a source."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.journal import Journal
from engine.recent_lines import SEGMENTS_MAX, RecentLines, recent_lines


def line(src: str, number: int) -> bytes:
    return b'{"kind":"telemetry","src":"%s","seq":%d,"t_rx":1}' % (src.encode(), number)


def group(*numbers: int) -> bytes:
    return b"".join(line(src, number) + b"\n" for number in numbers for src in ("a", "a/b"))


def of(folder: Path, src: str, most: int) -> list[bytes]:
    return recent_lines(folder, {src: most})[src]


def test_the_last_lines_of_a_source_in_their_order_while_it_is_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, bytes_max=1 << 24)
    list(journal.recover())
    assert of(tmp_path, "a", 10) == []
    journal.append(group(1, 2, 3))
    journal.append(group(4))
    assert of(tmp_path, "a", 10) == [line("a", n) for n in (1, 2, 3, 4)]
    assert of(tmp_path, "a", 3) == [line("a", n) for n in (2, 3, 4)]
    assert of(tmp_path, "a/b", 1) == [line("a/b", 4)]
    assert of(tmp_path, "b", 10) == []
    journal.close()


@pytest.mark.parametrize("packed", [False, True])
def test_they_go_back_over_the_segments_and_no_further(tmp_path: Path, packed: bool) -> None:
    journal = Journal(tmp_path, bytes_max=1 << 24, segment_bytes=1)
    list(journal.recover())
    for number in range(1, 6):
        journal.append(group(number))
    if packed:
        while journal.pack_before(journal.position):
            pass
    found = of(tmp_path, "a", 10)
    journal.close()
    assert found == [line("a", n) for n in range(6 - SEGMENTS_MAX, 6)]


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path, bytes_max=1 << 24, segment_bytes=1)
    list(journal.recover())
    journal.append(group(1))
    journal.append(group(2))
    journal.close()
    last = max(tmp_path.glob("*.journal"))
    for damage in (b"", b"no segment at all", bytes(64)):
        last.write_bytes(damage)
        assert of(tmp_path, "a", 10) == [line("a", 1)]
    last.unlink()
    last.mkdir()
    assert of(tmp_path, "a", 10) == [line("a", 1)]


def test_one_look_does_for_all_who_ask_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, bytes_max=1 << 24, segment_bytes=1)
    list(journal.recover())
    for number in range(1, 6):
        journal.append(group(number))
    looks: list[list[str]] = []

    def counted(folder: Path, asked: Mapping[str, int]) -> dict[str, list[bytes]]:
        looks.append(sorted(asked))
        return recent_lines(folder, asked)

    monkeypatch.setattr("engine.recent_lines.recent_lines", counted)

    async def story() -> None:
        recent = RecentLines(tmp_path)
        asked = [("a", 1), ("a/b", 10), ("c", 10), ("a", 1)]
        found = await asyncio.gather(*(recent.of(src, most) for src, most in asked))
        assert found == [[line("a", 5)], [line("a/b", 4), line("a/b", 5)], [], [line("a", 5)]]
        assert looks == [["a", "a/b", "c"], ["a"]]
        journal.append(group(6))
        assert await recent.of("a", 1) == [line("a", 6)], "whoever asks again later gets what is there then"

    asyncio.run(story())
    journal.close()


def test_who_was_told_to_stop_while_he_waited_looks_anew(tmp_path: Path) -> None:
    """A driver that is started again must not take for the journal's end what another one had looked up for it."""
    journal = Journal(tmp_path, bytes_max=1 << 24)
    list(journal.recover())
    journal.append(group(1))

    async def story() -> list[bytes]:
        lines = RecentLines(tmp_path)
        first, stopped = asyncio.create_task(lines.of("a", 5)), asyncio.create_task(lines.of("a/b", 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        stopped.cancel()
        assert await first == [line("a", 1)]
        journal.append(group(2))
        return await lines.of("a/b", 5)

    assert asyncio.run(story()) == [line("a/b", 1), line("a/b", 2)]
    journal.close()
