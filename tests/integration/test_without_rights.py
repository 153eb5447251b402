"""What this user may not read or write, and folders in the place of files: said, with what to do; never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Running
from tests.without_rights import CAN_GIVE_UP, FOLDER, Case, run_all

pytestmark = pytest.mark.skipif(not CAN_GIVE_UP, reason="root is above rights, and there is no setpriv to give that up")

KINDS = ("000", "444", FOLDER)
RECORDS = "".join(
    f'{{"kind":"pick.confirm","src":"dc1/pick/st-{n % 4}","seq":{n // 4},"t_rx":{1767225600000000 + n},'
    f'"task":"T{n}","sku":"S","qty":1}}\n'
    for n in range(40)
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with everything that may be in one; `site.toml` beside it is of its copies."""
    folder = tmp_path_factory.mktemp("rights")
    (folder / "lines.ndjson").write_text(RECORDS)
    site = folder / "site.toml"
    text = f'site = "dc1"\n[engine]\ndata_dir = "{folder}/DATA"\n[sources.lines]\nprotocol = "file_lines"\n'
    text += f'path = "{folder}/lines.ndjson"\n'
    site.write_text(text.replace("DATA", "data"))
    first = folder / "data" / "journal" / "00000001.journal"
    with Running(folder, "run", "--plain", str(site)) as engine:
        engine.until_said("sink queue: up")
        engine.until(lambda: RECORDS[:20].encode() in first.read_bytes(), "records in its journal")
        engine.stop()
    for name in ("passed_over.json", "shed.json"):
        (folder / "data" / name).write_bytes(b"")
    site.write_text(text.replace("DATA", "data.now"))
    return folder / "data"


def site_of(data: Path) -> str:
    return str(data.with_name("site.toml"))


def every_case(data: Path, *arguments: str) -> list[Case]:
    paths = sorted(data.rglob("*"))
    assert {path.name for path in paths} >= {"dead.sqlite", "outbox.sqlite", "queue.sqlite", "00000001.journal"}
    return [
        Case(str(data), str(path.relative_to(data)), kind, arguments)
        for path in paths
        for kind in KINDS
        if path.is_file() or kind != FOLDER
    ]


@pytest.mark.parametrize(
    "command",
    [
        "run --plain --seconds 0.3 SITE",
        "fsck --repair DATA",
        "journal ls DATA",
        "dlq ls SITE",
        "doctor SITE",
    ],
)
def test_no_command_ends_in_a_traceback(data: Path, command: str) -> None:
    arguments = command.replace("SITE", site_of(data)).replace("DATA", f"{data}.now").split()
    cases = every_case(data, *arguments)
    for case, (code, said) in zip(cases, run_all(cases), strict=True):
        assert "Traceback" not in said, (case.path, case.becomes, said)
        assert code in (0, 1), (case.path, case.becomes, said)


def snapshot_of(data: Path) -> str:
    return str(next((data / "snapshots").iterdir()).relative_to(data))


def test_a_start_that_cannot_work_with_a_file_is_refused_and_names_it(data: Path) -> None:
    """A service manager does not try that again."""
    refused = [
        ("journal", "000"),
        ("journal/00000001.journal", "000"),
        ("journal/00000001.journal", "444"),
        ("journal/00000002.journal", FOLDER),
        ("outbox.sqlite", "444"),
        ("dead.sqlite", "000"),
        ("dead.sqlite", "444"),
        ("rules.json", "000"),
        ("passed_over.json", "000"),
        ("shed.json", "000"),
        (snapshot_of(data), "000"),
    ]
    arguments = ("run", "--plain", "--seconds", "60", site_of(data))
    cases = [Case(str(data), path, kind, arguments) for path, kind in refused]
    for case, (code, said) in zip(cases, run_all(cases), strict=True):
        assert code == 1, (case.path, case.becomes, said)
        assert f"{data}.now/{case.path}" in said.splitlines()[-1], said


def test_a_check_does_not_take_what_it_may_not_see_for_what_is_not_there(data: Path) -> None:
    folder = f"{data}.now"
    [(code, said), (repaired, _)] = run_all(
        [Case(str(data), "snapshots", "000", ("fsck", *words, folder)) for words in ((), ("--repair", "--accept-loss"))]
    )
    assert (code, repaired) == (1, 1)
    assert f"sortline: {folder}/snapshots: Permission denied: this user" in said


@pytest.mark.parametrize(
    ("where", "table"),
    [
        ("engine.data_dir", '[engine]\ndata_dir = "{closed}/data"\n'),
        (
            "sources.p.tls.ca",
            '[sources.p]\nprotocol = "mqtt"\nhost = "127.0.0.1"\ntopics = [{{ filter = "a" }}]\n'
            'tls = {{ ca = "{closed}/ca.pem" }}\n',
        ),
        ("sources.p.path", '[sources.p]\nprotocol = "file_lines"\npath = "{closed}/lines"\n'),
        (
            "sources.p.bookmark",
            '[sources.p]\nprotocol = "file_lines"\npath = "lines"\nbookmark = "{closed}/bookmark"\n',
        ),
        (
            "sources.p.user_certificate.certificate",
            '[sources.p]\nprotocol = "opcua"\nurl = "opc.tcp://127.0.0.1"\n'
            'user_certificate = {{ certificate = "{closed}/c.pem", private_key = "{closed}/k.pem" }}\n',
        ),
    ],
)
def test_a_place_behind_a_closed_folder_is_a_fault_of_the_site_file(tmp_path: Path, where: str, table: str) -> None:
    folder = tmp_path / "box"
    (folder / "closed").mkdir(parents=True)
    site = tmp_path / "site.toml"
    site.write_text('site = "dc1"\n' + table.format(closed=f"{folder}.now/closed"))
    commands = [("check", str(site)), ("run", "--plain", "--seconds", "60", str(site))]
    if where == "engine.data_dir":
        commands += [("fsck", str(site)), ("doctor", str(site))]
    for code, said in run_all([Case(str(folder), "closed", "000", command) for command in commands]):
        assert code == 1, said
        assert "Permission denied" in said
        assert f"{folder}.now/closed" in said
        assert "Traceback" not in said
    assert f"  {where}: " in run_all([Case(str(folder), "closed", "000", commands[0])])[0][1]
