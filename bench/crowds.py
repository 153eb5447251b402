"""Many of one thing, as canonical lines: idle windows, unknown keys, cartons that all close at once."""

from __future__ import annotations

from collections.abc import Iterator

from bench.floor import BEGIN_US, SECOND, SITE

TRANSIT_US = 20_000
IDLE_S = 60  # idle windows open within so long before the floor's story begins
PICKS = 4
CARTONS_AN_ORDER = 10
COHORT_US = 20 * SECOND  # forty of them are over before an unfinished line is called stalled
NEVER_FULL = 1_000_000_000


def idle_windows(count: int) -> Iterator[bytes]:
    """Half are pick windows with one of two pieces picked, half cartons that hold that piece. Two records a pair."""
    pairs = max(1, count // 2)
    for i in range(pairs):
        t = BEGIN_US - IDLE_S * SECOND + i * IDLE_S * SECOND // pairs
        rx = f'"t":{t},"t_rx":{t + TRANSIT_US}'
        what = f'"task":"TI-{i:07}","sku":"SKU-{i % 5000:05}"'
        yield (
            f'{{"src":"{SITE}/wms/main","kind":"pick.task",{what},"rev":1,"order":"OI-{i // 8:06}","line":{i % 8 + 1},'
            f'"qty":2,{rx}}}\n'
            f'{{"src":"{SITE}/pick/IDL-{i % 8}","kind":"pick.confirm","seq":{i // 8 + 1},{what},"qty":1,'
            f'"lu":"TOTE-{i:07}",{rx}}}\n'
        ).encode()


def unknown_keys(first: int, count: int, t_rx: int) -> bytes:
    """Reads, weighings, picks and diverts of things that nobody ever announced: each a key of its own."""
    rx = f'"t":{t_rx - TRANSIT_US},"t_rx":{t_rx}}}\n'
    lines = []
    for i in range(first, first + count):
        head = f'{{"src":"{SITE}/sorter/SRT-99","seq":{i + 1},"kind":'
        match i % 4:
            case 0:
                lines.append(f'{head}"scan.read","lu":"GHOST-{i:09}",{rx}')
            case 1:
                lines.append(f'{head}"weigh","lu":"GHOST-{i:09}","weight_g":1000,{rx}')
            case 2:
                lines.append(f'{head}"pick.confirm","task":"TG-{i:09}","sku":"SKU-1","qty":1,{rx}')
            case _:
                lines.append(f'{head}"divert.confirmed","track":"{i}","dest":"LANE-01",{rx}')
    return "".join(lines).encode()


class Cohorts:
    """Cohort by cohort, things that all wait for one moment, and the record that brings it.

    `closes(k)`: cartons with four picks each, closed; the moment is the end of their hold.
    `deadlines(k)`: tasks with one of two pieces picked; the moment is their deadline.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.seq = 0
        self.src = f"{SITE}/pick/PTL-00"

    def closes(self, k: int) -> bytes:
        at = BEGIN_US + k * COHORT_US
        pieces = ",".join(f'{{"line":{n + 1},"sku":"SKU-{n}","qty":{NEVER_FULL}}}' for n in range(PICKS))
        lines = []
        for i in range(self.size):
            order = f'"order":"O-{k}-{i // CARTONS_AN_ORDER}"'
            if i % CARTONS_AN_ORDER == 0:
                lines.append(self._context(at, "order.released", f'{order},"rev":1,"lines":[{pieces}]'))
            lu = f'"lu":"CTN-{k:04}-{i:05}"'
            for n in range(PICKS):
                what = f'{order},"line":{n + 1},"sku":"SKU-{n}","qty":1,{lu}'
                lines.append(self._said(at + SECOND + 4_000 * i + n, "pick.confirm", what))
            lines.append(self._said(at + SECOND + 4_000 * i + PICKS, "carton.close", lu))
        return b"".join(lines)

    def deadlines(self, k: int) -> bytes:
        at = BEGIN_US + k * COHORT_US
        lines = []
        for i in range(self.size):
            task = f'"task":"T-{k:04}-{i:05}","sku":"SKU-0"'
            more = f'"rev":1,"order":"O-{k}","line":{i + 1},"qty":2,"deadline":{at + 10 * SECOND}'
            lines.append(self._context(at, "pick.task", f"{task},{more}"))
            lines.append(self._said(at + SECOND + 4_000 * i, "pick.confirm", f'{task},"qty":1'))
        return b"".join(lines)

    def moment(self, k: int) -> bytes:
        """One record late enough that the watermark passes whatever cohort k waits for."""
        return self._said(BEGIN_US + k * COHORT_US + COHORT_US - SECOND, "machine.state", '"state":"set"')

    def _said(self, t: int, kind: str, rest: str) -> bytes:
        self.seq += 1
        head = f'{{"src":"{self.src}","kind":"{kind}","seq":{self.seq},"t":{t},"t_rx":{t + TRANSIT_US}'
        return f"{head},{rest}}}\n".encode()

    def _context(self, t: int, kind: str, rest: str) -> bytes:
        return f'{{"src":"{SITE}/wms/main","kind":"{kind}","t":{t},"t_rx":{t + TRANSIT_US},{rest}}}\n'.encode()
