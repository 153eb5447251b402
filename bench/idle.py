"""`sources.idle`: what a thousand sources cost the engine while none of them has anything to say.

Every protocol has an equal share of them, each source a table and a connection of its own, with the options that they
have when nobody says otherwise; Modbus, which has to ask, asks once a second. On the other side stand mosquitto, Redis,
the servers of the Modbus and OPC UA cases, and a listener that never speaks. One engine has them all; then each
protocol's share has an engine to itself.
"""

from __future__ import annotations

import socket
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from bench import modbus, opcua, servers
from bench.idle_engine import watching
from bench.measure import alone
from bench.settings import Figures, Settings

ROOT = Path(__file__).parents[1]
SOURCES = 1_002
WINDOW_MS = 5_000
SITE = """
site = "dc1"
[engine]
data_dir = "{folder}/data"
"""
MQTT = """
[sources.mqtt-{number}]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
client_id = "bench-{number}"
scope = ["dc1/mqtt/{number}/"]
[[sources.mqtt-{number}.topics]]
filter = "dc1/mqtt/{number}/#rest"
format = "canonical"
"""
MODBUS = """
[sources.modbus-{number}]
protocol = "modbus"
host = "127.0.0.1"
port = {port}
[sources.modbus-{number}.units.U]
unit = 1
src = "dc1/modbus/{number}"
holding = {{ count = 0, weight = 1 }}
[sources.modbus-{number}.units.U.groups.all]
poll_ms = 1000
[[sources.modbus-{number}.units.U.groups.all.triggers]]
on = "change"
register = "count"
record = {{ kind = {{ const = "weigh" }}, lu = {{ const = "T-1" }}, weight_g = "weight" }}
"""
OPCUA = """
[sources.opcua-{number}]
protocol = "opcua"
url = "opc.tcp://127.0.0.1:{port}/"
security = {{ policy = "None" }}
[sources.opcua-{number}.variables.all]
src = "dc1/opcua/{number}"
trigger = "count"
nodes = {{ count = "ns=2;s=I.0", lu = "ns=2;s=I.1" }}
record = {{ kind = {{ const = "scan.read" }}, seq = "count", lu = "lu" }}
"""
TELEGRAM = """
[sources.telegram-{number}]
protocol = "telegram"
role = "client"
host = "127.0.0.1"
port = {port}
src = "dc1/telegram/{number}"
framing = {{ kind = "stx_etx" }}
header = {{ type = {{ at = 0, length = 2 }} }}
[[sources.telegram-{number}.telegrams]]
when = {{ type = "ST" }}
fields = {{ lu = {{ at = 2, length = 10 }} }}
record = {{ kind = {{ const = "scan.read" }}, lu = "lu" }}
"""
REDIS = """
[sources.redis-{number}]
protocol = "redis_stream"
port = {port}
stream = "wms.{number}"
constants = {{ src = "dc1/wms/{number}" }}
"""
LINES = """
[sources.lines-{number}]
protocol = "file_lines"
path = "{folder}/lines-{number}.ndjson"
"""


def idle(settings: Settings) -> Figures:
    """`cpu_percent` of one core: the median of `--runs` windows of WINDOW_MS; `rss_mb`: the most that the engine ever
    used; `up_s`: until all were up."""
    share = settings.size(SOURCES // len(PROTOCOLS))
    window_s = settings.size(WINDOW_MS, 1_000) / 1_000
    with tempfile.TemporaryDirectory(prefix="sortline-idle-") as name, served(Path(name), share) as tables:
        together = watched(Path(name, "all"), "".join(tables.values()), settings.runs, window_s)
        each = {protocol: watched(Path(name, protocol), table, 1, window_s) for protocol, table in tables.items()}
    return {
        **together,
        "protocols": {
            protocol: {name: figures[name] for name in ("sources", "cpu_percent", "rss_mb")}
            for protocol, figures in each.items()
        },
    }


@contextmanager
def served(folder: Path, share: int) -> Iterator[dict[str, str]]:
    """The other sides of all protocols; the tables of `share` sources of each."""
    with ExitStack() as running:
        yield {protocol: running.enter_context(other(folder, share)) for protocol, other in PROTOCOLS.items()}


def watched(folder: Path, tables: str, runs: int, window_s: float) -> Figures:
    """An engine with these sources, from its start until it has been watched."""
    folder.mkdir()
    site = folder / "site.toml"
    site.write_text(SITE.format(folder=folder) + tables)
    timing = alone(watching, site, runs, window_s, runs=runs)
    shares = [100 * cpu_s / wall_s for cpu_s, wall_s in zip(timing.cpu, timing.turns, strict=True)]
    return {
        "sources": timing.facts["sources"],
        "cpu_percent": round(statistics.median(shares), 2),
        "rss_mb": round(timing.rss_mb, 1),
        "up_s": round(timing.facts["up_s"], 1),
    }


# The other sides: each gives the tables of its sources


@contextmanager
def _mqtt(folder: Path, count: int) -> Iterator[str]:
    port = servers.free_port()
    with servers.mosquitto(folder, port):
        yield _tables(MQTT, count, port=port)


@contextmanager
def _modbus(folder: Path, count: int) -> Iterator[str]:
    with modbus.serving(1) as server:
        yield _tables(MODBUS, count, port=server.ports[0])


@contextmanager
def _opcua(folder: Path, count: int) -> Iterator[str]:
    with opcua.serving(2) as (port, _):
        yield _tables(OPCUA, count, port=port)


@contextmanager
def _telegram(folder: Path, count: int) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listener:
        held: list[socket.socket] = []
        threading.Thread(target=_hold, args=(listener, held), daemon=True).start()
        try:
            yield _tables(TELEGRAM, count, port=listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                connection.close()


def _hold(listener: socket.socket, held: list[socket.socket]) -> None:
    """Whoever comes, until the listener is shut down."""
    while True:
        try:
            held.append(listener.accept()[0])
        except OSError:
            return


@contextmanager
def _redis(folder: Path, count: int) -> Iterator[str]:
    port = servers.free_port()
    with servers.redis(folder, port, "wms"):
        yield _tables(REDIS, count, port=port)


@contextmanager
def _lines(folder: Path, count: int) -> Iterator[str]:
    for number in range(count):
        (folder / f"lines-{number}.ndjson").touch()
    yield _tables(LINES, count, folder=folder)


def _tables(template: str, count: int, **places: object) -> str:
    return "".join(template.format(number=number, **places) for number in range(count))


PROTOCOLS: dict[str, Callable[[Path, int], AbstractContextManager[str]]] = {
    "mqtt": _mqtt,
    "modbus": _modbus,
    "opcua": _opcua,
    "telegram": _telegram,
    "redis_stream": _redis,
    "file_lines": _lines,
}
