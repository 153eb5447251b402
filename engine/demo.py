"""`make demo`: a simulated warehouse with its own servers, the engine on it, and a summary. Ends by itself.

    python -m engine.demo [--seconds 180]

Starts the two commands that anybody could type, `sortline simulate --live --servers` and `sortline run SITE.toml`, in
a folder of their own under demo-data/, and then reads the queue as an ERP would.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.arguments import number_of_seconds
from engine.config.load import load_site
from engine.model import bare_type
from engine.sinks.queue import Queue

ROOT = Path(__file__).parents[1]
SITE = ROOT / "examples" / "warehouse.toml"
PORTS = {"--mqtt": 11883, "--modbus": 15020, "--opcua": 14840}  # as in the site file
SETTLE_S = 20.0  # after the story's end: the holds of cartons and shipments run out, and what waits is delivered
STORY_S_MIN = 60.0  # before that little is picked and no carton is full: a shorter demo tells as much, faster
START_S_MAX = 30.0
SECONDS_MIN = 30
ORDERS = 400
NOISE = 0.8  # photo eyes and motors: the share of records that mean nothing to anybody
READ_MAX = 1_000
SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m engine.demo", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=number_of_seconds, default=180.0, metavar="N", help="how long it takes (180, at least 30)"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "demo-data", help="where its data goes (demo-data)")
    args = parser.parse_args()
    if args.seconds < SECONDS_MIN:
        parser.error(f"--seconds: at least {SECONDS_MIN}, or nothing has time to happen")
    return Demo(args.folder / time.strftime("%Y%m%d-%H%M%S"), args.seconds).run()


class Demo:
    """One demo in `folder`, for about `seconds`."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder
        self.seconds = seconds
        self.site = folder / "warehouse.toml"
        self.events = folder / "events.ndjson"
        self.truth = folder / "truth.ndjson"
        self.ports = {option: _free(port) for option, port in PORTS.items()}

    def run(self) -> int:
        self.folder.mkdir(parents=True)
        self._write_site()
        print(f"A simulated warehouse on MQTT, Modbus TCP and OPC UA, for {self.seconds:g} s. Data: {self.folder}")
        story_s = max(self.seconds - SETTLE_S, self.seconds / 2)
        speak = [f"{option}={port}" for option, port in self.ports.items()]
        speed = max(1.0, STORY_S_MIN / story_s)
        story = ["--orders", str(ORDERS), "--noise", str(NOISE), "--seconds", f"{story_s:g}", "--speed", f"{speed:g}"]
        with self._warehouse(*story, "--stay", "--truth", str(self.truth), *speak):
            engine = self._sortline("run", str(self.site), "--seconds", f"{self.seconds:g}")
            try:
                code = engine.wait()
            except KeyboardInterrupt:  # the engine has got it, too: it drains, and the summary is what there is
                code = engine.wait()
        if code:
            print(f"sortline run ended with {code}", file=sys.stderr)
            return code
        return self._summary()

    def _write_site(self) -> None:
        """The example, with its data here, and other ports where somebody else has those that it names."""
        text = SITE.read_text().replace('data_dir = "demo-data"', f'data_dir = "{self.folder / "data"}"')
        for option, port in PORTS.items():
            text = text.replace(str(port), str(self.ports[option]))
        self.site.write_text(text)

    def _sortline(self, *arguments: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "engine.cli", *arguments]
        output = log.open("wb") if log is not None else None
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)  # noqa: S603 - our own words

    @contextmanager
    def _warehouse(self, *arguments: str) -> Iterator[None]:
        log = self.folder / "simulate.log"
        process = self._sortline("simulate", "--live", "--servers", *arguments, log=log)
        try:
            deadline = time.monotonic() + START_S_MAX
            while not all(_listening(port) for port in self.ports.values()):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the simulated warehouse did not start:\n{log.read_text(errors='replace')}")
                time.sleep(0.1)
            yield
        finally:
            _end(process)

    def _summary(self) -> int:
        bodies = self._queued()
        self.events.write_bytes(b"".join(body + b"\n" for body in bodies))
        events = [msgspec.json.decode(body) for body in bodies]
        kinds = Counter(bare_type(event["type"]) for event in events)
        print(f"\n{len(events)} business events in the queues, an ERP could read them now:")
        for type_, number in sorted(kinds.items()):
            print(f"  {number:6}  {type_}")
        print("\nThe last ones:")
        for body in bodies[-SHOWN:]:
            print(f"  {body.decode()}")
        if self.truth.exists():
            print("\nAgainst what physically happened, as far as it was told, everything in its last revision")
            print("(a shipment that was not ready and was not called so counts as right, too):", flush=True)
            self._sortline("score", str(self.events), str(self.truth)).wait()
        print(f"\nLook around: {self.folder}")
        if not events:
            print("no business event came out: see simulate.log there", file=sys.stderr)
            return 3
        return 0

    def _queued(self) -> list[bytes]:
        """Every entry of every embedded queue of the site, as a consumer reads them."""
        bodies: list[bytes] = []
        site = load_site(self.site)
        for sink in site.sinks:
            queue = Queue(Path(site.engine.data_dir) / (sink.settings.path or f"{sink.name}.sqlite"), sink.settings)
            try:
                for state in queue.states():
                    position = 0
                    while entries := queue.read(state.queue, position, READ_MAX):
                        bodies += [entry.body for entry in entries]
                        position = entries[-1].position
            finally:
                queue.close()
        return sorted(bodies, key=lambda body: str(msgspec.json.decode(body)["sequence"]))


def _free(port: int) -> int:
    """The port, or another one where it is taken."""
    for wanted in (port, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port on 127.0.0.1")


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """By our own child's id only; its story is told, and it keeps its connections until now."""
    if process.poll() is None:
        os.kill(process.pid, signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
