"""The OPC UA driver against open62541: the stack that is built into many devices.

Needs its Python binding, installed as tests/peers/open62541/requirements.txt says.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from protocols.opcua.security import write_self_signed
from tests.fault_proxy import FaultProxy
from tests.opcua import running, settings
from tests.peers import free_port
from tests.told import Told, told

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/open62541_server.py"
INSTALLED = ROOT / "build/peers/open62541"
ITEMS = 600

pytestmark = pytest.mark.peer("open62541")

CARTONS: dict[str, Any] = {
    "src": "dc1/pack/PK-01",
    "nodes": {name.lower(): f"ns=1;s=PK01.{name}" for name in ("Counter", "Kind", "Lu")},
    "trigger": "counter",
    "record": {
        "kind": {"path": "kind", "table": {"1": "carton.open", "2": "carton.close"}},
        "lu": {"path": "lu", "required": True},
        "seq": {"path": "counter", "wrap": 65536},
    },
}
WATCHED = CARTONS | {"collect": "monitor", "src": "dc1/pack/PK-02"}


@contextlib.asynccontextmanager
async def open62541(port: int | None = None, *more: str) -> AsyncIterator[Told]:
    if not (INSTALLED / "o6").is_dir():
        pytest.skip(f"open62541's Python binding is not installed in {INSTALLED.relative_to(ROOT)}")
    port = port or free_port()
    argv = (sys.executable, str(SCRIPT), str(port), *more)
    async with told(port, *argv, environment={"PYTHONPATH": str(INSTALLED)}) as server:
        yield server


def test_variables_that_are_read_or_monitored_become_records() -> None:
    async def story() -> None:
        async with open62541() as server:
            both = {"cartons": CARTONS, "watched": WATCHED}
            async with running(settings(server.url, variables=both)) as kept:
                await kept.up()
                await asyncio.sleep(0.3)
                await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                assert {(r["src"], r["lu"], r["seq"]) for r in kept.of("carton.open")} == {
                    ("dc1/pack/PK-01", "T-1", 1),
                    ("dc1/pack/PK-02", "T-1", 1),
                }
                assert kept.faults == []

    asyncio.run(story())


def test_a_cut_connection_loses_nothing() -> None:
    async def story() -> None:
        port = free_port()
        async with open62541(port) as server, FaultProxy(port) as proxy:
            configured = settings(
                f"opc.tcp://127.0.0.1:{proxy.port}/", lifetime_ms=30_000, variables={"watched": WATCHED}
            )
            async with running(configured) as kept:
                await kept.up()
                await asyncio.sleep(0.3)
                await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                proxy.cut()
                for number in range(2, 6):
                    await server.tell(write={"Lu": f"T-{number}", "Counter": number})
                    await asyncio.sleep(0.15)
                await kept.up(2)
                await kept.until(lambda: len(kept.of("carton.open")) == 5)
                assert [(r["lu"], r["seq"]) for r in kept.of("carton.open")] == [(f"T-{n}", n) for n in range(1, 6)]
                assert kept.of("source.gap") == []

    asyncio.run(story())


def test_many_items_over_several_subscriptions() -> None:
    async def story() -> None:
        async with open62541() as server:
            entries = {
                f"m{number}": {
                    "src": f"dc1/many/{number}",
                    "nodes": {"n": f"ns=1;s=M.{number}"},
                    "trigger": "n",
                    "collect": "monitor",
                    "record": {"kind": {"const": "telemetry"}},
                }
                for number in range(ITEMS)
            }
            configured = settings(server.url, variables=entries, items_per_subscription=250)
            async with running(configured) as kept:
                await kept.until(lambda: "up" in dict(kept.states))
                await asyncio.sleep(0.5)
                for value in (1, 2, 3):
                    await server.tell(all=value)
                    await asyncio.sleep(0.2)
                await kept.until(lambda: len(kept.of("telemetry")) == 3 * ITEMS)
                assert {r["src"] for r in kept.of("telemetry")} == {f"dc1/many/{number}" for number in range(ITEMS)}

    asyncio.run(story())


def test_over_an_encrypted_channel(tmp_path: Path) -> None:
    async def story() -> None:
        certificate, key = tmp_path / "server.der", tmp_path / "server.key.der"
        write_self_signed(certificate, key, "urn:open62541.unconfigured.application", "127.0.0.1")
        async with open62541(None, str(certificate), str(key)) as server:
            secure = {
                "policy": "Aes256Sha256RsaPss",
                "certificate": str(tmp_path / "client.der"),
                "private_key": str(tmp_path / "client.key.der"),
                "self_signed": True,
                "server_certificate": str(certificate),
            }
            async with running(settings(server.url, security=secure, variables={"cartons": CARTONS})) as kept:
                await kept.up()
                await asyncio.sleep(0.3)
                await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
                await kept.until(lambda: bool(kept.of("carton.open")))
            del secure["server_certificate"]
            secure["trust_dir"] = str(tmp_path)
            for how in (secure, {"policy": "None"}):
                async with running(settings(server.url, security=how, variables={"cartons": CARTONS})) as kept:
                    await kept.until(lambda kept=kept: "down" in dict(kept.states))  # type: ignore[misc]
                    assert "tells a stranger not even what it offers" in dict(kept.states)["down"]

    asyncio.run(story())
