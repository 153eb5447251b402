"""Site files, data folders and recordings that are not as they should be: refused with what, where and what to do."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from engine.app import Engine
from engine.config.load import load_site
from engine.errors import Refused
from tests.commands import Running, account, queued, sortline

GOOD = b'{"kind":"scan.read","src":"dc1/scan/A","seq":%d,"lu":"L-%d","t_rx":1795420800000000}\n'

SITE_FILES = {
    "not_there": (None, "cannot be read: No such file or directory"),
    "not_utf8": (b'site = "dc1"\n# \xff\n', "is not UTF-8 text (line 2)"),
    "nul_bytes": (b'site = "dc1"\n\0', "is not TOML: Invalid statement (at line 2, column 1)"),
    "syntax": (b'site = "dc1"\n[engine\n', "is not TOML: Expected ']' at the end of a table declaration (at line 2"),
    "no_quotes": (
        b"site = dc1\n",
        "no value stands there: a text goes into quotes, true and false are written small (at line 1",
    ),
    "with_unit": (b'site = "dc1"\n[rules]\nclose_hold_ms = 5s\n', "more follows a value: a number stands without unit"),
    "backslash": (b'site = "dc1"\n[engine]\ndata_dir = "C:\\data"\n', "a backslash in a text: write it twice"),
    "empty": (b"", "site: missing"),
    "wrong_types": (b'site = 7\n[engine]\njournal_bytes_max = "1 GB"\n', "engine.journal_bytes_max: must be"),
    "unknown_key": (
        b'site = "dc1"\n[engine]\ndata_dirr = "x"\n',
        'engine.data_dirr: unknown key: did you mean "data_dir"?',
    ),
    "unknown_protocol": (
        b'site = "dc1"\n[sources.a]\nprotocol = "mqqt"\n',
        'sources.a.protocol: there is no protocol "mqqt": did you mean "mqtt"?',
    ),
    "secret_not_there": (
        b'site = "dc1"\n[sinks.erp]\nkind = "redis"\nuser = "u"\npassword = { file = "/nowhere/password" }\n',
        "sinks.erp.password: secret file /nowhere/password: No such file or directory",
    ),
    "secret_in_plain_text": (
        b'site = "dc1"\n[sinks.erp]\nkind = "redis"\nuser = "u"\npassword = "hunter2"\n',
        "sinks.erp.password: ",
    ),
    "route_to_nowhere": (
        b'site = "dc1"\n[[routes]]\ntypes = ["pick.*"]\nsinks = ["que"]\n',
        'routes[0].sinks[0]: there is no sink "que": did you mean "queue"?',
    ),
}


@pytest.mark.parametrize("case", SITE_FILES)
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_site_file_that_cannot_be_meant_starts_nothing(tmp_path: Path, case: str, command: str) -> None:
    content, message = SITE_FILES[case]
    path = tmp_path / "site.toml"
    if content is not None:
        path.write_bytes(content)
    done = sortline(command, str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"sortline: {path}: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ([] if content is None else ["site.toml"])


def site_in(folder: Path, data_dir: Path) -> Path:
    path = folder / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{data_dir}"\n')
    return path


def under_a_file(data: Path) -> None:
    shutil.rmtree(data)
    data.write_text("a file")


def journal_is_a_file(data: Path) -> None:
    shutil.rmtree(data / "journal")
    (data / "journal").touch()


def journal_is_noise(data: Path) -> None:
    (data / "journal" / "00000001.journal").write_bytes(b"\x7fELF" * 100)


def journal_of_the_future(data: Path) -> None:
    (data / "journal" / "00000001.journal").write_bytes(b"sortjrnl\x09\0\0\0")


def journal_lacks_its_beginning(data: Path) -> None:
    (data / "journal" / "00000001.journal").rename(data / "journal" / "00000002.journal")


def outbox_is_a_folder(data: Path) -> None:
    (data / "outbox.sqlite").unlink()
    (data / "outbox.sqlite").mkdir()


DATA_FOLDERS: dict[Callable[[Path], None], str] = {
    under_a_file: "data is not a folder",
    journal_is_a_file: "cannot be worked with: [Errno 17] File exists",
    journal_of_the_future: "00000001.journal: is of version 9, this program reads 2: start the newer one",
    outbox_is_a_folder: "/outbox.sqlite: unable to open database file. It has to be a folder that this user",
}


def spoiled(tmp_path: Path, spoil: Callable[[Path], None]) -> tuple[Path, Path]:
    """The site file, and its data folder, which an engine has left behind."""
    data = tmp_path / "data"
    path = site_in(tmp_path, data)
    with Running(tmp_path, "run", str(path)) as engine:
        engine.until_said("sink queue: up")
        engine.stop()
    spoil(data)
    return path, data


@pytest.mark.parametrize("spoil", DATA_FOLDERS, ids=lambda spoil: str(getattr(spoil, "__name__", spoil)))
def test_a_data_folder_that_cannot_be_trusted_is_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    path, data = spoiled(tmp_path, spoil)
    before = sorted(data.rglob("*"))
    done = sortline("run", str(path), "--seconds", "1")
    assert done.returncode == 1, done.stderr
    assert DATA_FOLDERS[spoil] in done.stderr
    assert "Traceback" not in done.stderr
    assert set(before) <= set(data.rglob("*"))
    if data.is_dir():
        assert "Traceback" not in sortline("fsck", str(path)).stderr
        assert "Traceback" not in sortline("fsck", "--repair", str(path)).stderr


LOSSES: dict[Callable[[Path], None], tuple[str, str]] = {
    journal_is_noise: (
        "00000001.journal: damaged at offset 0: its first bytes are not those of a journal",
        "00000001.journal: is no segment: renamed to 00000001.journal.bad, an empty one stands for what is lost",
    ),
    journal_lacks_its_beginning: (
        "00000001.journal is missing",
        "00000001.journal: stands for what is lost",
    ),
}


@pytest.mark.parametrize("spoil", LOSSES, ids=lambda spoil: str(getattr(spoil, "__name__", spoil)))
def test_what_nobody_has_any_more_is_said_and_the_engine_runs(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path, _ = spoiled(tmp_path, spoil)
    done = sortline("run", str(path), "--seconds", "1")
    assert done.returncode == 0, done.stderr
    for text in LOSSES[spoil]:
        assert text in done.stderr
    again = sortline("run", str(path), "--seconds", "1")
    assert (again.returncode, "repaired" in again.stderr) == (0, False), again.stderr


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    done = sortline("run", str(site_in(tmp_path, Path("/proc/sortline"))), "--seconds", "1")
    assert done.returncode == 1
    assert "engine.data_dir /proc/sortline: cannot be worked with: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_queue_is_made_anew_and_the_engine_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "queue.sqlite").write_bytes(os.urandom(20_000))
    path = tmp_path / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{data}"\n[sinks.queue]\n[sinks.other]\n')
    with Running(tmp_path, "run", str(path)) as engine:
        engine.until_said("sink other: up")
        engine.until_said(
            "queue.sqlite: is damaged, or no SQLite file (file is not a database): renamed to queue.sqlite.bad"
        )
        engine.until_said("sink queue: up")
        engine.stop()
    assert queued(data / "other.sqlite") == queued(data / "queue.sqlite") == []


def not_parquet(path: Path) -> None:
    path.write_bytes(GOOD % (1, 1))


def not_zstd(path: Path) -> None:
    path.write_bytes(GOOD % (1, 1))


def half_a_zstd(path: Path) -> None:
    text = b"".join(GOOD % (n, n * 7_919 % 10_007) for n in range(5_000))
    packed = zstandard.compress(text)
    path.write_bytes(packed[: len(packed) // 2])


RECORDINGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a.parquet": (not_parquet, "not a Parquet file that can be read"),
    "a.zst": (not_zstd, "not a whole zstd file"),
    "b.zst": (half_a_zstd, "not a whole zstd file: it ends in the middle: cut off, or still being written"),
    "folder.ndjson": (Path.mkdir, "cannot be read: Is a directory"),
    "absent.ndjson": (lambda path: None, "cannot be read: No such file or directory"),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    make, message = RECORDINGS[name]
    make(tmp_path / name)
    done = sortline("replay", str(tmp_path / name), "--out", str(tmp_path / "out.ndjson"))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{tmp_path / name}: " in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


BAD_LINES = {
    b"": None,
    b'{"kind":"scan.read"': "broken JSON at byte 19",
    b"\xff\xfe": "a JSON object expected",
    b"\0\0": "a JSON object expected",
    b"[]": "a JSON object expected",
    b"null": "a JSON object expected",
    b'{"kind":"scan.read","src":"dc1/a","lu":"L","lu":"M","t_rx":1}': 'duplicate key "lu"',
    b'{"kind":"scan.reed","src":"dc1/a","lu":"L","t_rx":1}': 'unknown kind "scan.reed"',
    b'{"kind":"scan\\u001b[2J","src":"dc1/a","lu":"L","t_rx":1}': 'unknown kind "scan\\u001b[2J"',
    b'{"kind":"scan.read","src":"dc1/a","t_rx":1}': "scan.read needs lu",
    b'{"kind":"scan.read","src":"dc1/a","lu":7,"t_rx":1}': "lu: text expected",
    b'{"kind":"scan.read","lu":"L","t_rx":1}': "src: missing",
    b'{"kind":"scan.read","src":"dc1/a","lu":"L"}': "t_rx: missing",
    b'{"kind":"scan.read","src":"dc1/a","lu":"L","t_rx":-1}': "t_rx: out of range",
    b'{"kind":"scan.read","src":"dc1/a","lu":"L","t_rx":10413792000000000}': "t_rx: after the year 2200",
    b'{"kind":"weigh","src":"dc1/a","lu":"L","weight_g":1.5,"t_rx":1}': "weight_g: integer expected",
    b'{"kind":"telemetry","src":"dc1/a","t_rx":1,"a":' + b"[" * 50 + b"]" * 50 + b"}": "nested deeper than 32",
    b'{"kind":"telemetry","src":"dc1/a","t_rx":1,"a":"' + b"x" * 5_000 + b'"}': "a text longer than 4096 bytes",
    b'{"kind":"telemetry","src":"dc1/a","t_rx":1,"a":"' + b"x" * 10_000_000 + b'"}': "longer than 262144 bytes",
    b"{" + b",".join(b'"k%d":1' % n for n in range(1_000)) + b"}": "more than 256 keys in an object",
}


def test_bad_lines_of_a_recording_are_named_counted_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "in.ndjson"
    text = b"".join(line + b"\n" + GOOD % (n, n) for n, line in enumerate(BAD_LINES))
    path.write_bytes(text)
    done = sortline("replay", str(path), "--out", str(tmp_path / "out.ndjson"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.isprintable() for line in done.stderr.split("\n"))
    bad = {n: reason for n, reason in enumerate(BAD_LINES.values()) if reason is not None}
    for n, reason in bad.items():
        assert f"{path}:{2 * n + 1}: {reason}" in done.stderr
    counted = account(done.stderr)
    assert counted["rejected"] == len(bad)
    assert counted["in"] == len(bad) + len(BAD_LINES)
    strict = sortline("replay", str(path), "--out", str(tmp_path / "out.ndjson"), "--strict")
    assert strict.returncode == 1
    assert f"{path}:3: " in strict.stderr


def test_a_full_table_of_open_files_is_not_the_folders_fault(tmp_path: Path) -> None:
    """It was said that the folder cannot be worked with. Whichever file is the first for which there is no room."""
    path, data = spoiled(tmp_path, lambda data: None)
    said: list[str] = []
    for more in range(24):
        code, why = started_with_few_files(path, tmp_path / "said", more)
        said += [why] if code else []
        assert not code or ("LimitNOFILE" in why and "It has to be a folder" not in why), (more, why)
        assert not list(data.rglob("*.bad"))
    assert any("unable to open database file" in why for why in said)
    assert any("[Errno 24] Too many open files" in why for why in said)
    assert len(said) < 24, "at last it was built"


def started_with_few_files(path: Path, says: Path, more: int) -> tuple[int, str]:
    """Whether an engine that may open so many files more is refused, and why."""
    site = load_site(path)
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            answer = os.open(says, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            first = os.dup(answer)
            os.close(first)
            resource.setrlimit(resource.RLIMIT_NOFILE, (first + more, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            try:
                Engine(site)
                code = 0
            except Refused as error:
                os.write(answer, str(error).encode())
                code = 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return code, says.read_text()
