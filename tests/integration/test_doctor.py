"""`sortline doctor`: a box with a fault gets the finding and the exit code, a box without does not."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
import redis

from engine.box_checks import FORGETFUL, file_system
from engine.cli import main
from engine.contracts import Emitted, OutRow
from engine.dead_letters import DeadLetters
from engine.journal import Journal
from engine.letter import Refusal
from engine.outbox import SqliteOutbox
from engine.sinks.queue import Queue
from engine.sinks.redis_health import _waitaof
from protocols.mqtt.checks import mosquitto_findings
from protocols.registry import PROTOCOLS, checks_of, settings_of
from tests.counting_core import event
from tests.integration.test_probe_trials import TELEGRAMS
from tests.integration.test_redis_sink import rows, send, settings, sink_on
from tests.peers import Peer, free_port, start_redis

GOOD, BAD = 0, 1

Finding = dict[str, str]


@pytest.fixture(autouse=True)
def enough_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full this computer's disk is says nothing of us."""
    monkeypatch.setattr("engine.box_checks.FREE_PART_MIN", 0.0)


def site(folder: Path, *tables: str) -> str:
    path = folder / "site.toml"
    path.write_text(
        f'site = "dc1"\n[engine]\ndata_dir = "{folder}/data"\njournal_bytes_max = 1048576\n' + "\n".join(tables)
    )
    return str(path)


def doctor(capsys: pytest.CaptureFixture[str], path: str, *more: str) -> tuple[int, list[Finding]]:
    capsys.readouterr()
    code = main(["doctor", path, "--json", *more])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def told(findings: Sequence[Finding], level: str, where: str, what: str) -> bool:
    return any(
        each["level"] == level and each["where"].startswith(where) and what in each["what"] and bool(each["do"])
        for each in findings
    )


def levels(findings: Sequence[Finding], where: str) -> set[str]:
    return {each["level"] for each in findings if each["where"].startswith(where)}


def test_a_box_without_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if file_system(tmp_path) in FORGETFUL:
        pytest.skip(f"{tmp_path} is in memory")
    (tmp_path / "data").mkdir()
    path = site(tmp_path)
    code, findings = doctor(capsys, path, "--all")
    assert code == GOOD
    assert "error" not in {each["level"] for each in findings}
    assert {"engine.data_dir", "files", "sqlite"} <= {each["where"] for each in findings}
    assert list((tmp_path / "data").iterdir()) == []
    assert main(["doctor", path]) == GOOD
    assert "0 errors" in capsys.readouterr().out


def test_a_fault_of_the_site_file_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", site(tmp_path, '[sinks.erp]\nkind = "redis"\nport = 0')]) == BAD
    assert "sinks.erp.port" in capsys.readouterr().err


def test_a_data_folder_in_memory_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = Path("/dev/shm")
    if file_system(shared) != "tmpfs":
        pytest.skip("/dev/shm is no memory file system here")
    path = tmp_path / "site.toml"
    path.write_text(f'site = "dc1"\n[engine]\ndata_dir = "{shared}/sortline-test-{free_port()}"\n')
    code, findings = doctor(capsys, str(path))
    assert code == BAD
    assert told(findings, "error", "engine.data_dir", "in memory (tmpfs)")


def test_a_secret_that_others_may_read_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret")
    path = site(
        tmp_path,
        f'[sinks.erp]\nkind = "redis"\nport = {free_port()}\nuser = "me"\npassword = {{ file = "{secret}" }}',
    )
    secret.chmod(0o644)
    code, findings = doctor(capsys, path)
    assert code == BAD
    assert told(findings, "error", "sinks.erp.password", "open to others")
    assert "s3cret" not in json.dumps(findings)
    secret.chmod(0o600)
    _, findings = doctor(capsys, path, "--all")
    assert levels(findings, "sinks.erp.password") == {"good"}


def test_what_cannot_be_held_back_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    path = site(
        tmp_path,
        f'[sources.lights]\nprotocol = "mqtt"\nhost = "127.0.0.1"\nport = {port}\nsession_expiry_s = 60\n'
        '[[sources.lights.topics]]\nfilter = "dc1/lights/+device"\nqos = 0\n'
        'record.src = { template = "dc1/{device}" }\nrecord.kind = { const = "motor.state" }',
        f'[sources.plc]\nprotocol = "modbus"\nhost = "127.0.0.1"\nport = {port}\n'
        '[sources.plc.units.A]\nunit = 1\nsrc = "dc1/a"\n[sources.plc.units.A.holding]\nweight = 0\n'
        "[sources.plc.units.A.groups.all]\npoll_ms = 100\n[[sources.plc.units.A.groups.all.triggers]]\n"
        'on = "change"\nregister = "weight"\nrecord.kind = { const = "weigh" }\nrecord.weight_g = { path = "weight" }\n'
        'record.lu = { const = "x" }',
        f'[sources.packing]\nprotocol = "opcua"\nurl = "opc.tcp://127.0.0.1:{port}"\nsecurity = {{ policy = "None" }}\n'
        '[sources.packing.variables.cartons]\nsrc = "dc1/pack/1"\ntrigger = "n"\n'
        'nodes = { n = "ns=2;i=1", lu = "ns=2;i=2" }\nrecord = { kind = { const = "carton.open" }, lu = "lu" }',
    )
    code, findings = doctor(capsys, path)
    assert code == GOOD
    assert told(findings, "warning", "sources.lights.topics[0]", "QoS 0")
    assert told(findings, "warning", "sources.lights", "forgets our session after 60 s")
    assert told(findings, "warning", "sources.lights", f"nobody answers at 127.0.0.1:{port}")
    assert told(findings, "warning", "sources.plc.units.A.groups", "plain polling")
    assert told(findings, "warning", "sources.packing.variables.cartons", "without a check")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listener 1883\n", {"error": "keeps nothing over a restart", "warning": "after 1000 messages"}),
        ("persistence true\nmax_queued_messages 0\n", {}),
        ("persistence true\nmax_queued_messages 500\n", {"warning": "after 500 messages"}),
        ("# persistence true\nmax_queued_messages 1000000\n", {"error": "keeps nothing"}),
    ],
)
def test_what_a_broker_on_this_box_would_drop(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "site.conf").write_text(text)
    found = list(mosquitto_findings("sources.floor", (tmp_path / "mosquitto.conf", folder)))
    assert {each.level.value for each in found} == set(expected)
    for each in found:
        assert expected[each.level.value] in each.what


def redis_site(folder: Path, port: int, more: str = "") -> str:
    return site(folder, f'[sinks.erp]\nkind = "redis"\nport = {port}\n{more}')


@pytest.mark.peer("redis-server")
def test_a_redis_that_forgets_is_an_error(
    redis_server: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = redis_site(tmp_path, redis_server.port)
    code, findings = doctor(capsys, path, "--all")
    assert code == GOOD
    assert levels(findings, "sinks.erp") <= {"good", "note", "warning"}
    with redis.Redis(port=redis_server.port) as client:
        major, minor, *_ = client.info("server")["redis_version"].split(".")
        has_waitaof = (int(major), int(minor)) >= (7, 2)
        client.config_set("appendfsync", "everysec")
        code, findings = doctor(capsys, redis_site(tmp_path, redis_server.port, 'wait_aof = "never"'))
        assert code == BAD
        assert told(findings, "error", "sinks.erp", "up to a second of events")
        if not has_waitaof:
            assert doctor(capsys, path)[0] == BAD
        client.config_set("appendonly", "no")
        code, findings = doctor(capsys, path)
        assert code == BAD
        assert told(findings, "error", "sinks.erp", "appendonly is off")
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.config_set("maxmemory-policy", "allkeys-lru")
        code, findings = doctor(capsys, path)
        assert code == BAD
        assert told(findings, "error", "sinks.erp", "throws whole streams away")


class Told:
    """A server that says of itself what it is to say. appendfsync None: CONFIG is not allowed."""

    def __init__(self, appendfsync: str | None) -> None:
        self._appendfsync = appendfsync

    async def config_get(self, name: str) -> dict[str, str]:
        if self._appendfsync is None:
            raise redis.exceptions.NoPermissionError("no permission")
        return {name: self._appendfsync}


@pytest.mark.parametrize(
    ("appendfsync", "version", "wait_aof", "level", "says"),
    [
        ("everysec", {"redis_version": "7.2.4"}, "auto", "good", "WAITAOF"),
        ("everysec", {"redis_version": "7.4.1"}, "auto", "warning", "WAITAOF of this server answers up to a second"),
        ("everysec", {"redis_version": "8.0.0"}, "auto", "good", "WAITAOF"),
        ("everysec", {"redis_version": "7.2.4", "valkey_version": "7.2.9"}, "auto", "good", "WAITAOF"),
        ("everysec", {"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "auto", "warning", "up to a second before"),
        (None, {"redis_version": "7.4.1"}, "auto", "warning", "if appendfsync is everysec"),
        ("always", {"redis_version": "7.4.1"}, "auto", "good", "WAITAOF"),
        ("no", {"redis_version": "8.0.0"}, "auto", "error", "a power cut"),
        ("no", {"redis_version": "8.0.0"}, "always", "error", "nothing is delivered"),
    ],
)
def test_waitaof_is_as_good_as_the_servers_habit(
    appendfsync: str | None, version: dict[str, str], wait_aof: str, level: str, says: str
) -> None:
    found = asyncio.run(_waitaof("erp", Told(appendfsync), settings(1, wait_aof=wait_aof), version))
    assert found.level.value == level
    assert says in found.what


@pytest.mark.peer("redis-server")
def test_what_a_redis_does_not_tell_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "password").write_text("s3cret")
    (tmp_path / "password").chmod(0o600)
    peer = start_redis(tmp_path / "redis", "--user", "me", "on", ">s3cret", "~*", "+ping")
    try:
        account = f'user = "me"\npassword = {{ file = "{tmp_path}/password" }}'
        code, findings = doctor(capsys, redis_site(tmp_path, peer.port, account))
        assert code == GOOD
        assert told(findings, "note", "sinks.erp", "does not tell us about itself")
    finally:
        peer.kill()


@pytest.mark.peer("redis-server")
def test_a_stream_that_nobody_reads_is_said(
    redis_server: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(send(sink_on(redis_server.port, prefix="erp."), rows(1, 3)))
    with redis.Redis(port=redis_server.port) as client:
        client.rename("erp.erp", "erp.inventory")
    _, findings = doctor(capsys, redis_site(tmp_path, redis_server.port))
    assert told(findings, "warning", "sinks.erp erp.inventory", "no consumer group reads them")


def test_a_sink_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = doctor(capsys, redis_site(tmp_path, free_port()))
    assert code == BAD
    assert told(findings, "error", "sinks.erp", "ConnectionError")


def test_dead_letters_and_a_backlog_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site(tmp_path, "outbox_rows_max = 1000\n[dead_letters]\nbytes_max = 1048576")
    data = tmp_path / "data"
    letters = DeadLetters(data / "dead.sqlite", lambda: 5)
    letters.refuse(Counter([Refusal("payload", "plc", "torn", b"x")]))
    outbox = SqliteOutbox(
        data / "outbox.sqlite", routes={"pick.confirmed": {"erp": "q"}}, sinks=["erp"], rows_max=1_000, clock=lambda: 1
    )
    outbox.append([Emitted(*event(n, f"e{n}")) for n in range(1, 11)])
    code, findings = doctor(capsys, path)
    assert code == GOOD
    assert told(findings, "warning", "dead letters", "1 refused payload")
    assert told(findings, "warning", "outbox", "10 events that some sink does not have")
    outbox.append([Emitted(*event(n, f"e{n}")) for n in range(11, 900)])
    letters.refuse(Counter([Refusal("payload", "plc", "torn", bytes([n]) * 100_000) for n in range(5)]))
    code, findings = doctor(capsys, path)
    assert code == BAD
    assert told(findings, "error", "outbox", "at 1000 sources are held back")
    outbox.close()
    letters.close()


def test_a_look_changes_nothing_and_takes_no_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site(tmp_path)
    data = tmp_path / "data"
    queue = Queue(data / "queue.sqlite")
    queue.put([OutRow(1, "e1", "pick.confirmed", "erp.inventory", "k", b"{}")])
    letters = DeadLetters(data / "dead.sqlite", lambda: 5)
    letters.refuse(Counter([Refusal("payload", "plc", "torn", b"x")]))
    held = [sqlite3.connect(data / name, isolation_level=None) for name in ("queue.sqlite", "dead.sqlite")]
    for file in held:
        file.execute("BEGIN IMMEDIATE")  # as an engine in the middle of a commit
    before = {file: file.read_bytes() for file in sorted(data.glob("*.sqlite*")) if not file.name.endswith("-shm")}
    _, findings = doctor(capsys, path)
    assert told(findings, "warning", "sinks.queue erp.inventory", "1 entries")
    assert told(findings, "warning", "dead letters", "1 refused payload")
    assert {file: file.read_bytes() for file in before} == before
    for file in held:
        file.close()
    queue.close()
    letters.close()


def test_a_web_service_is_asked_whether_it_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    path = site(tmp_path, f'[sinks.erp]\nkind = "http"\nurl = "http://127.0.0.1:{port}/in"')
    _, findings = doctor(capsys, path)
    assert told(findings, "warning", "sinks.erp", f"nobody answers at 127.0.0.1:{port}")
    assert told(findings, "note", "sinks.erp", "Idempotency-Key")


MODBUS = """
[sources.p]
protocol = "modbus"
host = "127.0.0.1"
port = {port}
[sources.p.units.U]
unit = 1
src = "dc1/u"
holding = {{ a = 1 }}
[sources.p.units.U.groups.g]
poll_ms = 100
[[sources.p.units.U.groups.g.triggers]]
on = "change"
register = "a"
record.kind = {{ const = "telemetry" }}
record.qty = "a"
"""


@contextmanager
def device() -> Iterator[socket.socket]:
    """It takes connections, and a test asks it whether there was one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def was_dialled(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def test_what_each_protocol_cannot_hold_back_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = '[sources.{name}]\nprotocol = "file_lines"\npath = "{path}"\nconstants = {{ src = "dc1/{name}" }}\n{more}'
    profile = (
        MODBUS.format(port=free_port()).replace("units.U", "profiles.scale").replace('unit = 1\nsrc = "dc1/u"\n', "")
    )
    path = site(
        tmp_path,
        TELEGRAMS.format(role="client", port=free_port())
        .replace('acknowledge = "AK{seq}"', "")
        .replace("silence_ms = 30000", ""),
        profile + '[sources.p.units.A]\nunit = 1\nsrc = "dc1/a"\nprofile = "scale"\n',
        lines.format(name="anew", path=tmp_path / "a", more=""),
        lines.format(name="late", path=tmp_path / "b", more='begin = "end"'),
        lines.format(name="kept", path=tmp_path / "c", more=f'bookmark = "{tmp_path / "c.bookmark"}"'),
        lines.format(name="pipe", path="-", more=""),
        '[sources.nodes]\nprotocol = "mqtt"\nhost = "127.0.0.1"\n[sources.nodes.sparkplug]\ngroups = ["P"]\n'
        '[[sources.nodes.sparkplug.records]]\nfilter = "P/+node"\ntrigger = "m"\n'
        'record = { src = { const = "dc1/n" }, kind = { const = "telemetry" } }',
    )
    _, findings = doctor(capsys, path)
    assert told(findings, "warning", "sources.crane", "no acknowledgement")
    assert told(findings, "warning", "sources.crane", "nothing tells that the line is dead")
    assert told(findings, "warning", "sources.p.profiles.scale.groups", "plain polling")
    assert told(findings, "warning", "sources.anew", "reads the file from its beginning")
    assert told(findings, "warning", "sources.late", "passed over")
    assert told(findings, "note", "sources.kept", "before the engine has read it")
    assert told(findings, "warning", "sources.pipe", "cannot be read again")
    assert told(findings, "warning", "sources.nodes.sparkplug", "QoS 0")


def test_every_address_of_a_modbus_device_is_dialled_and_a_serial_line_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = free_port()
    table = MODBUS.format(port=dead)
    with device() as backup:
        place = f"127.0.0.1:{backup.getsockname()[1]}"
        _, findings = doctor(
            capsys,
            site(tmp_path, table.replace("[sources.p.units", f'backups = ["{place}"]\n[sources.p.units', 1)),
            "--all",
        )
        assert was_dialled(backup)
    assert told(findings, "warning", "sources.p", f"nobody answers at 127.0.0.1:{dead}")
    assert f"{place} answers" in [each["what"] for each in findings]
    for line, level, what in (
        (tmp_path / "ttyUSB0", "warning", "No such file"),
        (tmp_path, "error", "no serial line"),
        (Path("/dev/tty"), "good", "is there"),
    ):
        serial = table.replace(
            f'host = "127.0.0.1"\nport = {dead}', f'transport = "rtu"\nserial = {{ device = "{line}" }}'
        )
        _, findings = doctor(capsys, site(tmp_path, serial), "--all")
        assert [each["level"] for each in findings if str(line) in each["what"] and what in each["what"]] == [level]


def test_the_usual_port_of_modbus_inside_tls() -> None:
    table = {"host": "plc", "tls": {}, "backups": ["other"], "units": {"A": {"unit": 1, "src": "dc1/a"}}}
    assert checks_of("modbus").reach(msgspec.convert(table, settings_of("modbus"))).addresses == [
        ("plc", 802),
        ("other", 802),
    ]


def test_a_protocol_of_one_folder_and_one_line_has_nothing_to_say_to_doctor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `checks.py`: a struct of settings and a driver are a protocol."""
    bare = ModuleType("bare")
    bare.Settings = msgspec.defstruct("Settings", [("port", int)], kw_only=True, forbid_unknown_fields=True)  # type: ignore[attr-defined]
    bare.Driver = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "protocols.bare", bare)
    monkeypatch.setitem(PROTOCOLS, "bare", ("protocols.bare:Settings", "protocols.bare:Driver"))
    code, findings = doctor(capsys, site(tmp_path, '[sources.crane]\nprotocol = "bare"\nport = 1\n'), "--all")
    assert code == GOOD
    assert levels(findings, "sources.crane") == set()


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_device_of_telegrams_is_never_dialled(tmp_path: Path, capsys: pytest.CaptureFixture[str], role: str) -> None:
    with device() as crane:
        code, findings = doctor(capsys, site(tmp_path, TELEGRAMS.format(role=role, port=crane.getsockname()[1])))
        assert not was_dialled(crane)
    assert code == GOOD
    assert levels(findings, "sources.crane") == {"note"}
    assert told(findings, "note", "sources.crane", "was not dialled")


def test_a_modbus_device_is_dialled_only_while_no_engine_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with device() as plc:
        path = site(tmp_path, MODBUS.format(port=plc.getsockname()[1]))
        _, findings = doctor(capsys, path, "--all")
        assert was_dialled(plc)
        assert not told(findings, "note", "sources.p", "was not dialled")
        engine = Journal(tmp_path / "data" / "journal", bytes_max=1 << 20)
        try:
            _, findings = doctor(capsys, path)
        finally:
            engine.close()
        assert not was_dialled(plc)
        assert told(findings, "note", "sources.p", "the running engine holds its connection")
        doctor(capsys, path)
        assert was_dialled(plc)
