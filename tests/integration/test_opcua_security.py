"""Certificates, policies and users of the OPC UA driver, against an asyncua server in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asyncua import ua

from engine.errors import Refused
from protocols.opcua.security import load_identity, load_user, write_self_signed
from protocols.opcua.settings import Security
from tests.fault_proxy import FaultProxy
from tests.opcua import CARTONS, SERVER_URI, Line, running, settings


@contextlib.asynccontextmanager
async def secured(folder: Path, tokens: list[Any] | None = None) -> AsyncIterator[Line]:
    packing = Line()
    await packing.prepare()
    await packing.secure(folder)
    if tokens is not None:
        packing.server.set_identity_tokens(tokens)
    await packing.build()
    await packing.server.start()
    try:
        yield packing
    finally:
        await packing.stop()


def security(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "policy": "Basic256Sha256",
        "certificate": str(folder / "client.der"),
        "private_key": str(folder / "client.pem"),
        "self_signed": True,
        "server_certificate": str(folder / "server.der"),
    } | changes


def user(monkeypatch: pytest.MonkeyPatch, password: str) -> dict[str, Any]:
    monkeypatch.setenv("TEST_OPCUA_PASSWORD", password)
    return {"user": "reader", "password": {"env": "TEST_OPCUA_PASSWORD"}, "variables": {"cartons": CARTONS}}


def test_a_signed_and_encrypted_connection_with_a_pinned_server_and_a_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with secured(tmp_path) as packing:
            for policy, mode in (("Basic256Sha256", "SignAndEncrypt"), ("Aes128Sha256RsaOaep", "Sign")):
                secure = security(tmp_path, policy=policy, mode=mode, server_uri=SERVER_URI)
                async with running(settings(packing.url, security=secure, **user(monkeypatch, "right"))) as kept:
                    await kept.up()
                    counter = await packing.nodes["Counter"].read_value() + 1
                    await packing.write(Kind=1, Lu="T-1", Counter=counter)
                    await kept.until(lambda: bool(kept.of("carton.open")))
            assert (tmp_path / "client.pem").stat().st_mode & 0o077 == 0

    asyncio.run(story())


def certified(folder: Path, name: str) -> dict[str, Any]:
    certificate, key = folder / f"{name}.der", folder / f"{name}.key.pem"
    write_self_signed(certificate, key, f"urn:test:{name}", "localhost")
    shown = {"certificate": str(certificate), "private_key": str(key)}
    return {"user_certificate": shown, "variables": {"cartons": CARTONS}}


def test_a_user_is_known_by_its_certificate_also_after_a_cut_and_a_stranger_is_not(tmp_path: Path) -> None:
    known, stranger = certified(tmp_path, "user"), certified(tmp_path, "stranger")

    async def story() -> None:
        async with secured(tmp_path) as packing, FaultProxy(packing.port) as proxy:
            packing.users.certificates.add((tmp_path / "user.der").read_bytes())
            url = f"opc.tcp://127.0.0.1:{proxy.port}/"
            for policy, mode in (("Basic256Sha256", "SignAndEncrypt"), ("Aes256Sha256RsaPss", "SignAndEncrypt")):
                secure = security(tmp_path, policy=policy, mode=mode)
                async with running(settings(url, security=secure, lifetime_ms=30_000, **known)) as kept:
                    await kept.up()
                    counter = await packing.nodes["Counter"].read_value() + 1
                    await packing.write(Kind=1, Lu="T-1", Counter=counter)
                    await kept.until(lambda: len(kept.of("carton.open")) == 1)
                    proxy.cut()
                    await packing.write(Lu="T-2", Counter=counter + 1)
                    await kept.up(2)
                    await kept.until(lambda: len(kept.of("carton.open")) == 2)
                    assert kept.of("source.gap") == []
            async with running(settings(url, security=security(tmp_path), **stranger)) as kept:
                await kept.until(lambda: "down" in dict(kept.states))
                assert "the user is refused" in dict(kept.states)["down"]

    asyncio.run(story())


def test_a_server_that_takes_no_user_certificates_says_what_it_takes(tmp_path: Path) -> None:
    async def story() -> None:
        async with secured(tmp_path, tokens=[ua.UserNameIdentityToken]) as packing:
            configured = settings(packing.url, security=security(tmp_path), **certified(tmp_path, "user"))
            async with running(configured) as kept:
                await kept.until(lambda: "down" in dict(kept.states))
                assert "takes no user certificates on this endpoint; it takes UserName" in dict(kept.states)["down"]

    asyncio.run(story())


def test_a_key_that_is_not_the_certificates_own_is_refused_by_name(tmp_path: Path) -> None:
    known, other = certified(tmp_path, "user"), certified(tmp_path, "other")
    shown = known["user_certificate"] | {"private_key": other["user_certificate"]["private_key"]}
    configured = settings("opc.tcp://h:4840", security=security(tmp_path), **known | {"user_certificate": shown})
    with pytest.raises(Refused, match="do not belong together"):
        load_user(configured)


@pytest.mark.parametrize(("days", "is_told"), [(-1, True), (59, True), (61, False)])
def test_a_certificate_of_ours_that_ends_soon_is_warned_of(
    tmp_path: Path, days: int, is_told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("protocols.opcua.security.VALID_DAYS", days)
    ours = msgspec.convert(security(tmp_path, self_signed=True), Security)
    load_identity(ours, "urn:test:client", "localhost")
    assert ("is valid until" in caplog.text) == is_told


def test_a_wrong_password_a_missing_policy_and_an_unknown_server_are_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = tmp_path / "trusted"
    trust.mkdir()

    async def refusal(packing: Line, secure: dict[str, Any], password: str = "right") -> str:
        configured = settings(packing.url, security=secure, **user(monkeypatch, password))
        async with running(configured) as kept:
            await kept.until(lambda: "down" in dict(kept.states))
            assert "right" not in repr(kept.states) + repr(kept.faults)
            return dict(kept.states)["down"]

    async def story() -> None:
        async with secured(tmp_path) as packing:
            told = await refusal(packing, security(tmp_path), "wrong")
            assert "the user is refused" in told
            told = await refusal(packing, security(tmp_path, policy="Basic256"))
            assert "does not offer Basic256/SignAndEncrypt; it offers" in told
            async with running(settings(packing.url, variables={"cartons": CARTONS})) as kept:
                await kept.until(lambda: "does not offer None; it offers Aes128" in dict(kept.states).get("down", ""))
            unknown = security(tmp_path, server_certificate=None, trust_dir=str(trust))
            told = await refusal(packing, unknown)
            (rejected,) = (trust / "rejected").iterdir()
            assert f"move {rejected} to {trust}" in told
            told = await refusal(packing, security(tmp_path, server_certificate=str(tmp_path / "client.der")))
            assert "is not the pinned" in told
            shutil.move(rejected, trust)
            async with running(settings(packing.url, security=unknown, **user(monkeypatch, "right"))) as kept:
                await kept.up()

    asyncio.run(story())
