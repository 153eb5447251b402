"""Modbus over TLS, over a converter that passes serial frames on, over a serial line, and at a backup address."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.libmodbus import RTU_SERVER_C, compiled
from tests.modbus import Plc, RememberingIntake, polling, settings, until
from tests.modbus_floor import SCALE, SORTER, post, run, text, weigh
from tests.modbus_rtu import RtuPlc, SerialPair, checksum
from tests.peers import free_port

SERIAL = {"transport": "rtu", "probe_apart": False}


def serial_settings(device: str, units: dict[str, Any], **options: Any) -> Any:
    line = {"device": device, "baud": 115_200}
    return settings(None, units, **{"serial": line, **SERIAL, **options})


def acknowledged(plc: Plc, seq: int) -> bool:
    return plc.get(110, unit=2) == seq


def secured(authority: Authority, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("plc", host))
    return context


def test_over_tls_a_server_is_read_whose_certificate_is_good(tmp_path: Path) -> None:
    async def story() -> None:
        authority = Authority(tmp_path)
        async with Plc(secured(authority, "127.0.0.1")) as plc:
            intake = RememberingIntake()
            made = settings(plc.port, {"SRT": SORTER}, tls={"ca": str(authority.ca)}, timeout_ms=2_000)
            async with polling(intake, made):
                post(plc, 1)
                await until(lambda: plc.writes == [(2, 110, 1)])
        assert [line["seq"] for line in intake.facts] == [1]

    run(story())


@pytest.mark.parametrize(("host", "is_ours"), [("127.0.0.1", False), ("10.9.8.7", True)])
def test_over_tls_a_server_that_proves_nothing_is_never_asked(tmp_path: Path, host: str, is_ours: bool) -> None:
    """Signed by somebody else, or for another name."""

    async def story() -> None:
        ours = Authority(tmp_path)
        signer = ours if is_ours else Authority(tmp_path, "somebody")
        async with Plc(secured(signer, host)) as plc:
            intake = RememberingIntake()
            made = settings(plc.port, {"SRT": SORTER}, tls={"ca": str(ours.ca)}, timeout_ms=2_000)
            async with polling(intake, made):
                await until(lambda: intake.later_links)
            assert plc.requests == []
        assert intake.later_links == [("dc1/sorter/SRT-01", "link.down")]
        (_, detail) = next(state for state in intake.states if state[0] == "down")
        assert "certificate is refused" in detail

    run(story())


@contextlib.contextmanager
def demanding(authority: Authority, version: ssl.TLSVersion) -> Iterator[int]:
    """A server's port that lets nobody in who does not show a certificate, and says why: sockets of OpenSSL's own, for
    asyncio's hang up without the alert."""
    context = secured(authority, "127.0.0.1")
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca)

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                context.wrap_socket(peer, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_over_tls_a_server_that_wants_a_certificate_of_ours_is_told_of(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Of TLS 1.3 it says so when the connection stands for us already."""

    async def story() -> None:
        authority = Authority(tmp_path)
        with demanding(authority, version) as port:
            intake = RememberingIntake()
            async with polling(intake, settings(port, {"SRT": SORTER}, tls={"ca": str(authority.ca)})):
                await until(lambda: any("tls.certificate" in detail for _, detail in intake.states))
        assert not [state for state, _ in intake.states if state == "up"]

    run(story())


def test_over_tls_a_server_without_it_is_never_asked(tmp_path: Path) -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            made = settings(plc.port, {"SRT": SORTER}, tls={"ca": str(Authority(tmp_path).ca)})
            async with polling(intake, made):
                await until(lambda: intake.later_links)
            assert plc.requests == []
        assert intake.facts == []

    run(story())


def test_serial_frames_through_a_converter() -> None:
    async def story() -> None:
        device = RtuPlc()
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        intake = RememberingIntake()
        made = settings(server.sockets[0].getsockname()[1], {"SCL": SCALE, "SRT": SORTER}, transport="rtu_over_tcp")
        async with polling(intake, made):
            await until(lambda: len(intake.later_links) == 2)
            post(device.plc, 1)
            await until(lambda: device.plc.writes == [(2, 110, 1)])
            weigh(device.plc, "T-1", 250)
            await until(lambda: len(intake.facts) == 2)
        server.close()
        assert [line.get("lu", line.get("seq")) for line in intake.facts] == [1, "T-1"]
        assert intake.faults == []

    run(story())


def test_a_serial_line_is_read_acknowledged_and_survives_noise_and_wrong_checksums() -> None:
    chance = random.Random(4)

    def spoil(frame: bytes) -> bytes:
        return frame[:-1] + bytes([frame[-1] ^ 1]) if chance.random() < 0.3 else frame

    async def story() -> None:
        device = RtuPlc()
        with SerialPair(device) as line:
            intake = RememberingIntake()
            made = serial_settings(line.device, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=60, failures_max=1_000)
            async with polling(intake, made):
                await until(lambda: len(intake.later_links) == 2)
                for seq in range(1, 6):
                    post(device.plc, seq)
                    if seq == 2:
                        line.send(b"\xff\x00\x55")
                    if seq == 4:
                        device.spoil = spoil
                    await until(partial(acknowledged, device.plc, seq))
        assert [line["seq"] for line in intake.facts] == [1, 2, 3, 4, 5]
        assert any("wrong checksum" in cause for cause in intake.causes)

    run(story())


@pytest.mark.parametrize("fault", ["late", "noise"])
def test_a_unit_of_which_an_answer_may_still_come_is_not_asked_on_a_serial_line(fault: str) -> None:
    """The next answer would be taken for it: serial frames carry no number."""
    timeout_s = 0.6

    async def story() -> None:
        asked: list[tuple[int, float]] = []
        device = RtuPlc()
        spoilt_at: list[float] = []

        def spoil(frame: bytes) -> bytes:
            now = asyncio.get_running_loop().time()
            asked.append((frame[0], now))
            if spoilt_at or frame[0] != 1 or len(asked) < 10:
                return frame
            spoilt_at.append(now)
            return b"" if fault == "late" else b"\xff"

        device.spoil = spoil
        with SerialPair(device) as line:
            made = serial_settings(line.device, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=int(1_000 * timeout_s))
            async with polling(RememberingIntake(), made):
                await until(lambda: spoilt_at and asked[-1][0] == 1 and asked[-1][1] > spoilt_at[0])
        later = [(unit, at) for unit, at in asked if at > spoilt_at[0]]
        again_at = next(at for unit, at in later if unit == 1)
        # from when it was missed on, or from the noise on; a loaded machine may be late with what it saw
        assert again_at - spoilt_at[0] > (1.5 if fault == "late" else 0.5) * timeout_s
        assert [unit for unit, at in later if at < again_at].count(2) > 3, "the others are asked meanwhile"

    run(story())


TWO_REGISTERS = {
    "unit": 1,
    "src": "dc1/u/1",
    "holding": {"a": 0, "b": 100},
    "groups": {
        name: {
            "registers": [name],
            "poll_ms": 20,
            "triggers": [
                {"on": "change", "register": name, "record": {"kind": {"const": "telemetry"}, "code": {"const": name}}}
            ],
        }
        for name in ("a", "b")
    },
}


@pytest.mark.parametrize("knows", [True, False])
def test_an_answer_however_late_is_not_taken_for_another_by_who_echoes(knows: bool) -> None:
    async def story() -> None:
        device = RtuPlc()
        device.plc.set(0, 1)
        device.plc.set(100, 2)
        late: list[bytes] = []
        answered = 0

        def spoil(frame: bytes) -> bytes:
            nonlocal answered
            answered += 1
            if frame[1] == 8 and not knows:
                frame = frame[:1] + b"\x88\x01"
                frame += checksum(frame)
            if answered < 10 or late[1:]:
                return frame
            is_of_a = frame[1] == 3 and frame[4] == 1
            if is_of_a:
                late[:] = [frame]
                return b""
            if not late:
                return frame
            # behind it: the answer to what was asked next, of other registers
            late.append(frame)
            return late[0] + frame

        device.spoil = spoil
        with SerialPair(device) as line:
            intake = RememberingIntake()
            made = serial_settings(line.device, {"U": TWO_REGISTERS}, timeout_ms=100, failures_max=100, echo=True)
            async with polling(intake, made):
                await until(lambda: len(late) == 2)
                before = answered
                await until(lambda: answered > before + 20)
        assert late[1][1] in (0x08, 0x88)
        assert any("wrong function" in cause for cause in intake.causes)
        assert intake.facts == []
        assert {request.function for request in device.plc.requests} == {3, 8}

    run(story())


def test_a_dead_unit_on_a_serial_line_is_asked_rarely_and_comes_back() -> None:
    async def story() -> None:
        device = RtuPlc()
        device.plc.dead = {2}
        with SerialPair(device) as line:
            intake = RememberingIntake()
            made = serial_settings(
                line.device, {"SCL": SCALE, "SRT": SORTER}, timeout_ms=400, failures_max=2, recovery_ms=200
            )
            async with polling(intake, made):
                await until(lambda: ("dc1/sorter/SRT-01", "link.down") in intake.later_links)
                before, began_s = len(device.plc.requests), asyncio.get_running_loop().time()
                await until(lambda: len(device.plc.requests) > before + 40)
                took_s = asyncio.get_running_loop().time() - began_s
                later = [request.unit for request in device.plc.requests[before:]]
                assert later.count(2) <= 1 + took_s / 0.2
                device.plc.dead = set()
                await until(lambda: ("dc1/sorter/SRT-01", "link.up") in intake.later_links)
        assert ("dc1/pack/SCL-01", "link.down") not in intake.later_links

    run(story())


def test_a_serial_line_that_is_unplugged_is_down_and_no_such_line_too() -> None:
    async def story() -> None:
        device = RtuPlc()
        with SerialPair(device) as line:
            intake = RememberingIntake()
            async with polling(intake, serial_settings(line.device, {"SCL": SCALE})):
                await until(lambda: intake.later_links == [("dc1/pack/SCL-01", "link.up")])
                line.unplug()
                await until(lambda: intake.later_links[-1] == ("dc1/pack/SCL-01", "link.down"))
        absent = RememberingIntake()
        async with polling(absent, serial_settings("/dev/null", {"SCL": SCALE})):
            await until(lambda: absent.later_links == [("dc1/pack/SCL-01", "link.down")])

    run(story())


@pytest.mark.peer("libmodbus")
def test_a_serial_slave_of_libmodbus(tmp_path: Path) -> None:
    """The same C library that many devices are made with, on the other end of the cable."""
    program = compiled("slave", RTU_SERVER_C, tmp_path)

    async def story() -> None:
        with SerialPair() as cable:
            slave = await asyncio.create_subprocess_exec(program, cable.other, "1")
            try:
                intake = RememberingIntake()
                async with polling(intake, serial_settings(cable.device, {"SCL": SCALE})):
                    # it counts a register up with every answer: the weight
                    await until(lambda: len(intake.facts) >= 2)
            finally:
                slave.kill()
                await slave.wait()
        assert {line["lu"] for line in intake.facts} == {"SERIAL"}
        assert intake.faults == []

    run(story())


def test_a_device_that_is_away_is_read_at_its_backup_address_and_stays_there() -> None:
    async def story() -> None:
        async with Plc() as second:
            first = Plc()
            await first.start()
            intake = RememberingIntake()
            made = settings(first.port, {"SRT": SORTER}, backups=[f"127.0.0.1:{second.port}"], recovery_ms=20)
            async with polling(intake, made):
                post(first, 1)
                await until(lambda: first.writes)
                await first.stop()
                second.set(110, 1, unit=2)
                post(second, 2)
                await until(lambda: second.writes)
                # the first one is there again, and is no reason to leave the second
                await first.start()
                seen, asked = len(second.requests), len(first.requests)
                await until(lambda: len(second.requests) > seen + 20)
                assert len(first.requests) == asked
            await first.stop()
        assert [line["seq"] for line in intake.facts] == [1, 2]

    run(story())


def test_an_address_that_accepts_and_never_answers_is_left_for_the_next() -> None:
    async def story() -> None:
        async with Plc() as mute, Plc() as second:
            mute.dead = {1, 2}
            intake = RememberingIntake()
            made = settings(
                mute.port, {"SRT": SORTER}, backups=[f"127.0.0.1:{second.port}"], timeout_ms=30, recovery_ms=20
            )
            async with polling(intake, made):
                await until(lambda: ("dc1/sorter/SRT-01", "link.up") in intake.later_links)
                post(second, 1)
                await until(lambda: second.writes)

    run(story())


def test_the_first_address_may_be_missing_from_the_start() -> None:
    async def story() -> None:
        async with Plc() as second:
            second.set(11, 0, 250, *text("T-9", 4))
            intake = RememberingIntake()
            async with polling(intake, settings(free_port(), {"SCL": SCALE}, backups=[f"127.0.0.1:{second.port}"])):
                await until(lambda: intake.later_links == [("dc1/pack/SCL-01", "link.up")])

    run(story())
