"""What the cases work on: the same story every time, made once and kept in a folder for temporary files."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bench.floor import SEED, Floor, cartons_for, lines_of

CHUNK_BYTES = 256 * 1024
KEPT_S = 2 * 86_400
RECORDS = 2_000_000
ORDERS = 2_000  # of the simulator's story, some 50 records each
STORIES = ("floor", "orders")


class Story(NamedTuple):
    """A file of canonical records in order of arrival."""

    path: Path
    records: int

    def chunks(self) -> Iterator[bytes]:
        """The file, cut at line ends into pieces of about CHUNK_BYTES."""
        with self.path.open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece if piece.endswith(b"\n") else piece + file.readline()


def story(kind: str, scale: float) -> Story:
    """`floor`: RECORDS x scale of a big floor's traffic; `orders`: ORDERS x scale orders of the simulated warehouse."""
    if kind == "orders":
        orders = max(1, round(ORDERS * scale))
        return _kept(f"orders-{orders}-{SEED}", lambda: _orders(orders))
    return floor_story(Floor(cartons_for(round(RECORDS * scale))))


def floor_story(which: Floor) -> Story:
    return _kept("-".join(map(str, ("floor", *which))), lambda: lines_of(which))


def _orders(orders: int) -> Iterator[bytes]:
    # many times slower than `lines_of`, and denser: shipments, manifests, returns, counts
    from simulators.canonical import tell, write
    from simulators.settings import Troubles
    from simulators.warehouse import tell_story

    troubles = Troubles(noise=0.6, duplicates=0.01, disorder_ms=1_500)
    return write(tell(tell_story(orders, SEED), SEED, troubles).said)


def _kept(name: str, tell: Callable[[], Iterable[bytes]]) -> Story:
    """The story of that name; told now if nobody told it before with the same program."""
    folder = Path(tempfile.gettempdir()) / f"sortline-bench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}-{_program()}.ndjson"
    if not path.exists():
        _forget(folder)
        unfinished = path.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as file:
            file.writelines(tell())
        unfinished.replace(path)
    path.touch()
    with path.open("rb") as file:
        records = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    return Story(path, records)


def _forget(folder: Path) -> None:
    """Stories that nobody asked for lately: they are big."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another run tidies up, too
            if time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()


def _program() -> str:
    """A digest of what tells the stories: a story of an older program is not taken for ours."""
    folders = (Path(__file__).parent, Path(__file__).parents[1] / "simulators")
    sources = [folders[0] / "floor.py", Path(__file__), *sorted(folders[1].rglob("*.py"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
