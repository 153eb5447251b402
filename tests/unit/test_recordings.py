"""Recordings in their formats give back the lines that were written, in chunks that never cut a line."""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from engine.errors import Refused
from engine.recordings import Writer, cut, new_file, read
from ext.ndjson import LINE_BYTES_MAX

LINES = [
    b'{"src":"dc1/sorter/SRT-03","epoch":1,"seq":7,"kind":"divert.confirmed","t":1795420800000000,"t_rx":1795420800000900,'
    b'"track":"17","dest":"L-4"}',
    '{"kind":"telemetry","src":"dc1/ä","t_rx":3,"code":17,"rpm":12.5,"deep":{"a":[1,{"b":null}]}}'.encode(),
    b'{"src":"dc1/wms/main","kind":"order.released","t_rx":5,"order":"O-1","rev":1,"lines":[{"line":1,"sku":"S","qty":4}]}',
    b'{"kind":"clock.tick","t_rx":9}',
    b"",
    b"not a record",
    b'{ "kind" : "clock.tick", "t_rx": 10 }',
    b'{"a,b":1,"kind":"telemetry","keys":"k","rest":"r","raw":"w","line":null,"n":123456789012345678901234567890}',
    b'{"x":"\\u0041"}',
    b"\xff\xfe",
    b"{}",
]


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.zst", "a.parquet"])
def test_a_recording_gives_back_its_lines(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    data = b"\n".join(LINES) + b"\n"
    with Writer(path) as out:
        out.write(data[: data.index(b"\n") + 1])
        out.sync()
        out.write(data[data.index(b"\n") + 1 :])
    assert b"".join(chunk.data for chunk in read(path)) == data
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_parquet_has_a_column_for_every_flat_field(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with Writer(str(path)) as out:
        out.write(LINES[0] + b"\n" + LINES[2] + b"\n")
    frame = pl.read_parquet(path)
    assert frame["kind"].to_list() == ["divert.confirmed", "order.released"]
    assert frame["seq"].to_list() == [7, None]
    assert frame["rest"].to_list() == [None, '{"lines":[{"line":1,"sku":"S","qty":4}]}']
    assert frame["raw"].null_count() == 2


def test_parquet_of_others_needs_only_columns_named_like_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"kind": ["jam"], "src": ["a"], "t_rx": [1], "state": ["set"], "codes": [["x", "y"]]}).write_parquet(
        path
    )
    assert next(read(str(path))).data == b'{"kind":"jam","src":"a","t_rx":1,"state":"set","codes":["x","y"]}\n'


def pieces(data: bytes, rng: random.Random) -> Iterator[tuple[bytes, float]]:
    at = 0
    while at < len(data):
        n = rng.choice([1, 2, 7, 40, 400])
        yield data[at : at + n], -1.0
        at += n


def test_chunks_are_whole_lines_and_know_their_first_lines_number() -> None:
    rng = random.Random(5)
    lines = [b"x" * rng.randrange(60) for _ in range(500)]
    for end in (b"", b"\n"):
        data = b"\n".join(lines) + b"last" + end
        chunks = list(cut(pieces(data, rng)))
        assert b"".join(chunk.data for chunk in chunks) == data
        for chunk in chunks:
            before = lines[: chunk.first_line - 1]
            assert data.startswith(chunk.data, sum(map(len, before)) + len(before))
        assert all(chunk.data.endswith(b"\n") for chunk in chunks[:-1])


def test_a_line_without_end_is_shortened_but_stays_too_long_and_keeps_its_number() -> None:
    blocks = [b"ok\nab", *[b"c" * 10_000] * 100, b"d\nok\n"]
    chunks = list(cut((block, -1.0) for block in blocks))
    assert [chunk.first_line for chunk in chunks] == [1, 2]
    long, ok = chunks[1].data.splitlines()
    assert LINE_BYTES_MAX < len(long) < LINE_BYTES_MAX + 20_000
    assert ok == b"ok"


def test_stdin_and_stdout_are_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    fed = io.TextIOWrapper(io.BytesIO(b"one\ntwo\n"))
    printed = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", fed)
    monkeypatch.setattr(sys, "stdout", printed)
    with Writer("-") as out:
        for chunk in read("-"):
            out.write(chunk.data)
    assert printed.buffer.getvalue() == b"one\ntwo\n"


@pytest.mark.parametrize("name", ["none.ndjson", "none.zst", "none.parquet"])
def test_a_missing_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused, match=f"{name}: cannot be read: No such file"):
        list(read(str(tmp_path / name)))


@pytest.mark.parametrize(("name", "reason"), [("a.zst", "not a whole zstd file"), ("a.parquet", "not a Parquet file")])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, reason: str) -> None:
    for content in (b"", b'{"kind":"clock.tick","t_rx":1}\n'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match=reason):
            list(read(str(tmp_path / name)))


def test_a_folder_or_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be read: Is a directory, and there is no journal in it"):
        list(read(str(tmp_path)))
    with pytest.raises(Refused, match="cannot be written: No such file"):
        Writer(str(tmp_path / "none" / "a.ndjson"))


def test_a_file_that_is_to_be_kept_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"precious\n")
    with pytest.raises(Refused, match="is there already"):
        Writer(str(path), keep=True)
    assert path.read_bytes() == b"precious\n"


@pytest.mark.parametrize("name", ["a.ndjson", "a.parquet"])
def test_of_two_that_write_one_file_at_once_the_second_is_refused(tmp_path: Path, name: str) -> None:
    """Both wrote into the same place: the second ended with a traceback, once the first had given the file its name."""
    path = tmp_path / name
    with new_file(str(path)) as place, Writer(place) as first:
        first.write(b'{"kind":"clock.tick","t_rx":1}\n')
        with pytest.raises(Refused, match="another process is writing it"), new_file(str(path)) as other:
            Writer(other)
    with pytest.raises(Refused, match="is there already"), new_file(str(path)):
        pass
    assert b"".join(chunk.data for chunk in read(str(path))) == b'{"kind":"clock.tick","t_rx":1}\n'
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_what_a_killed_command_left_of_a_file_is_taken_away(tmp_path: Path) -> None:
    left = tmp_path / "a.part.ndjson"
    left.write_bytes(b"half a li")
    left.chmod(0o666)
    with new_file(str(tmp_path / "a.ndjson"), 0o600) as place, Path(place).open("wb") as out:
        out.write(b"whole\n")
    assert (tmp_path / "a.ndjson").read_bytes() == b"whole\n"
    assert (tmp_path / "a.ndjson").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("what", ["symlink", "folder"])
def test_what_no_command_left_stays_where_it_is(tmp_path: Path, what: str) -> None:
    left = tmp_path / "a.part.ndjson"
    left.symlink_to(tmp_path / "nowhere") if what == "symlink" else left.mkdir()
    with pytest.raises(Refused, match=r"a\.ndjson: cannot be written: "), new_file(str(tmp_path / "a.ndjson")):
        pass
    assert [each.name for each in tmp_path.iterdir()] == ["a.part.ndjson"]
