"""Servers that are not ours, on free ports of 127.0.0.1, for the time of a case."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from bench.measure import Absent, Failed

READY_S_MAX = 10.0
STOP_S_MAX = 15.0


def program(name: str) -> str:
    """The path of a program. Raises Absent where it is not installed."""
    # Debian keeps servers in sbin, which an ordinary user's PATH leaves out
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Absent(f"{name} is not installed")
    return path


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process, as a context: asked to end at the end, and killed if it does not. What it says is in `log`."""

    def __init__(self, argv: Sequence[str], folder: Path, name: str, cwd: Path | None = None) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(argv, cwd=cwd or folder, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def until(self, ready: Callable[[], bool], what: str, within_s: float = READY_S_MAX) -> Server:
        """Wait until it is so. Otherwise it is stopped; raises Failed, with the end of its log, if it ends before or
        takes too long."""
        deadline = time.monotonic() + within_s
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Failed(f"{self.name}: not {what} within {within_s:g} s:\n{self.said()[-2_000:]}")
            time.sleep(0.01)
        return self

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def freeze(self) -> None:
        """Connections stay, nobody answers: the nastiest way to be dead."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def cpu_s(self) -> float:
        """Processor time that it has used so far; 0.0 once it has ended."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mb(self) -> float:
        """The most memory that it ever used; 0.0 once it has ended."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return 0.0
        return next((int(line.split()[1]) / 1_024 for line in lines if line.startswith("VmHWM:")), 0.0)


def mosquitto(folder: Path, port: int) -> Server:
    """A broker that lets anybody in and drops nothing that a slow client has not taken yet."""
    config = folder / "mosquitto.conf"
    me = pwd.getpwuid(os.getuid()).pw_name  # as root it would change to a user that cannot read the folder
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser {me}\nset_tcp_nodelay true\n"
        "max_queued_messages 0\nmax_inflight_messages 1000\nlog_type error\nlog_type warning\n"
    )
    return Server([program("mosquitto"), "-c", str(config)], folder, "mosquitto").until(
        lambda: _answers(port, b"", b""), "ready"
    )


def redis(folder: Path, port: int, name: str) -> Server:
    """A Redis that has every write on its disk before it answers, and what an earlier one of that name had."""
    own = folder / name
    own.mkdir(exist_ok=True)
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    argv = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(own), *durable]
    return Server(argv, folder, name).until(lambda: _answers(port, b"PING\r\n", b"+PONG"), "ready")


def _answers(port: int, question: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
            connection.sendall(question)
            return not answer or connection.recv(16).startswith(answer)
    except OSError:
        return False
