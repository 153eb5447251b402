"""The OPC UA driver against node-opcua: a server that shares no code with it.

Needs node, and node-opcua installed by `npm ci` as tests/peers/node_opcua/package.json says.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocols.opcua.security import write_self_signed
from tests.fault_proxy import FaultProxy
from tests.opcua import CARTONS, LABELS, running, settings
from tests.peers import free_port, program
from tests.told import Told, told

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/peers/node_opcua/server.js"
MODULES = ROOT / "build/peers/node_opcua/node_modules"
pytestmark = pytest.mark.peer("node-opcua")


@contextlib.asynccontextmanager
async def node_server(folder: Path, port: int | None = None, *more: str) -> AsyncIterator[Told]:
    node = program("node")
    if not MODULES.is_dir():
        pytest.skip(f"node-opcua is not installed in {MODULES.relative_to(ROOT)}")
    port = port or free_port()
    environment = {"NODE_PATH": str(MODULES), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    async with told(port, node, str(SCRIPT), str(port), *more, environment=environment) as server:
        yield server


def test_variables_and_events_of_a_foreign_server_become_records_again_after_its_restart(tmp_path: Path) -> None:
    async def story() -> None:
        port = free_port()
        configured = settings(
            f"opc.tcp://127.0.0.1:{port}/",
            keep_alive_ms=300,
            variables={"cartons": CARTONS, "watched": CARTONS | {"collect": "monitor", "src": "dc1/pack/PK-02"}},
            events={"labels": LABELS},
        )
        async with node_server(tmp_path, port) as server, running(configured) as kept:
            await kept.up()
            await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
            await server.tell(event={"Carton": "T-1", "Result": "OK"})
            await kept.until(lambda: len(kept.of("carton.open")) == 2 and len(kept.of("label.verified")) == 1)
            assert {(r["src"], r["lu"], r["seq"]) for r in kept.of("carton.open")} == {
                ("dc1/pack/PK-01", "T-1", 1),
                ("dc1/pack/PK-02", "T-1", 1),
            }
            (label,) = kept.of("label.verified")
            assert (label["lu"], label["result"]) == ("T-1", "OK")
            assert abs(label["t"] - label["t_rx"]) < 5_000_000
            await server.kill()
            await kept.until(lambda: len(kept.of("link.down")) == 4)
            async with node_server(tmp_path, port) as again:
                await kept.up(2)
                await again.tell(write={"Kind": 2, "Lu": "T-1", "Counter": 2})
                await kept.until(lambda: len(kept.of("carton.close")) == 2)
            assert kept.faults == []

    asyncio.run(story())


def test_a_cut_connection_to_a_foreign_server_loses_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        port = free_port()
        async with node_server(tmp_path, port) as server, FaultProxy(port) as proxy:
            configured = settings(
                f"opc.tcp://127.0.0.1:{proxy.port}/",
                lifetime_ms=30_000,
                variables={"cartons": CARTONS | {"collect": "monitor"}},
            )
            async with running(configured) as kept:
                await kept.up()
                await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                proxy.cut()
                for number in range(2, 6):
                    await server.tell(write={"Lu": f"T-{number}", "Counter": number})
                    await asyncio.sleep(0.12)  # it samples every 50 ms at best
                await kept.up(2)
                await kept.until(lambda: len(kept.of("carton.open")) == 5)
                assert [(r["lu"], r["seq"]) for r in kept.of("carton.open")] == [(f"T-{n}", n) for n in range(1, 6)]
                assert kept.of("source.gap") == []

    asyncio.run(story())


def test_the_overflow_bit_of_a_foreign_server_is_a_gap(tmp_path: Path) -> None:
    async def story() -> None:
        async with node_server(tmp_path) as server:
            small = CARTONS | {"queue_size": 2, "collect": "monitor"}
            configured = settings(
                server.url, publishing_ms=500, keep_alive_ms=500, lifetime_ms=3000, variables={"cartons": small}
            )
            async with running(configured) as kept:
                await kept.up()
                await asyncio.sleep(1.0)
                for number in range(1, 8):
                    await server.tell(write={"Kind": 1, "Lu": f"T-{number}", "Counter": number})
                    await asyncio.sleep(0.08)  # it samples every 50 ms at best
                await kept.until(lambda: any(record.get("seq") == 7 for record in kept.records))
                gap = kept.of("source.gap")[0]
                assert gap["src"] == "dc1/pack/PK-01"
                assert gap["t_from"] < gap["t_to"]

    asyncio.run(story())


def test_a_foreign_server_is_believed_by_its_certificate_and_believes_the_user_by_the_users(tmp_path: Path) -> None:
    trust = tmp_path / "trusted"
    trust.mkdir()
    secure = {
        "policy": "Basic256Sha256",
        "certificate": str(tmp_path / "client.pem"),
        "private_key": str(tmp_path / "client.key.pem"),
        "self_signed": True,
        "trust_dir": str(trust),
    }
    shown = {}
    for name in ("known", "stranger"):
        certificate, key = tmp_path / f"{name}.der", tmp_path / f"{name}.key.pem"
        write_self_signed(certificate, key, f"urn:test:{name}", "localhost")
        shown[name] = {"certificate": str(certificate), "private_key": str(key)}

    async def story() -> None:
        async with node_server(tmp_path, None, str(tmp_path / "known.der")) as server:
            table = {"security": secure, "variables": {"cartons": CARTONS}}
            async with running(settings(server.url, user_certificate=shown["known"], **table)) as kept:
                await kept.until(lambda: "is not trusted" in dict(kept.states).get("down", ""))
                (rejected,) = (trust / "rejected").iterdir()
                rejected.rename(trust / "packing.der")
                await kept.up()
                await server.tell(write={"Kind": 1, "Lu": "T-1", "Counter": 1})
                await kept.until(lambda: bool(kept.of("carton.open")))
            async with running(settings(server.url, user_certificate=shown["stranger"], **table)) as kept:
                await kept.until(lambda: "the user is refused" in dict(kept.states).get("down", ""))

    asyncio.run(story())
