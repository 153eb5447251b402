"""Programs that are not ours, started on free loopback ports: what a test with a foreign peer stands on.

Fixtures (from tests/conftest.py): `mosquitto` and `redis_server`, each a running server that the test may stop and
start again. Where the program is not installed the test is skipped, and the reason says which one is missing.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

READY_S_MAX = 60.0


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that nobody gets by chance before it is used, or while its
    server is away: Linux gives those from 32768 to whoever connects, or asks for any port. No port comes twice."""
    for port in _PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("no port is left")


def _ports() -> Iterator[int]:
    """Those of this process. The processes of one run share none: also the port of a server that is away just now stays
    its own. Each run begins elsewhere, so that two runs beside each other do not meet."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    mine = range(20_000 + number, 32_000, processes)
    return iter(random.Random(os.getpid()).sample(mine, len(mine)))


_PORTS = _ports()


def program(name: str) -> str:
    """The path of a program; skips the test, saying why, where it is not installed."""
    # Debian keeps servers in sbin, which an ordinary user's PATH leaves out
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def listening(port: int) -> bool:
    """Whether something accepts TCP connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Peer:
    """A server process on `port` of 127.0.0.1. `stop` and `start` again keep port and files: an outage is two calls."""

    host = "127.0.0.1"

    def __init__(self, argv: Sequence[str], port: int, folder: Path, ready: Callable[[int], bool] = listening) -> None:
        self.argv = list(argv)
        self.port = port
        self.folder = folder
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Peer:
        """Start it and wait until it is ready; fails with its output if it is not within READY_S_MAX."""
        log = self.folder / "output.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(self.argv, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + READY_S_MAX
        while not self._ready(self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self.argv[0]} is not ready on port {self.port}:\n{log.read_text(errors='replace')}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """Ask it to end, as its operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(number)
        try:
            self._process.wait(READY_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def start_mosquitto(folder: Path, extra: str = "") -> Peer:
    """A mosquitto that lets anybody in on loopback. `extra`: more lines of its configuration."""
    path = program("mosquitto")
    port = free_port()
    config = folder / "mosquitto.conf"
    # as root it would change to a user that cannot read the folder
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser {_me()}\n{extra}\n")
    return Peer([path, "-c", str(config)], port, folder).start()


def start_redis(folder: Path, *options: str) -> Peer:
    """A redis-server that fsyncs every write, so that it forgets nothing over stop and start. `options`: more argv."""
    path = program("redis-server")
    port = free_port()
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    argv = [path, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable, *options]
    return Peer(argv, port, folder, _redis_ready).start()


def _redis_ready(port: int) -> bool:
    # it listens before it has loaded its file, and then answers -LOADING
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False


def _me() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
