"""Certificates, policies and users of the OPC UA driver, against an asyncua server in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.opcua import CARTONS, SERVER_URI, Line, running, settings


@contextlib.asynccontextmanager
async def secured(folder: Path) -> AsyncIterator[Line]:
    packing = Line()
    await packing.prepare()
    await packing.secure(folder)
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
            assert "user or password refused" in told
            told = await refusal(packing, security(tmp_path, policy="Basic256"))
            assert "does not offer Basic256/SignAndEncrypt; it offers" in told
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
