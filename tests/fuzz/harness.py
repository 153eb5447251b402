"""What is fuzzed: bytes in, an exception only where something is wrong. Without any fuzzer, so that the corpus is
replayed by the tests, and `embedded.c` calls the same functions under libFuzzer."""

from __future__ import annotations

import json
from collections.abc import Callable

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.ndjson import NdjsonDecoder
from ext.snapshot import SnapshotError
from ext.texts import Texts
from tests.fuzz.wires import WIRES, Broken

TERMS = ("used", "duplicate", "late", "rejected", "noise", "open")
RULES = {"closing_points": ("SEAL-1",), "short_at_cutoff": True, "short_on_close": True, "gap_hold_ms": 20_000}


_kept: list[tuple[Texts, NdjsonDecoder]] = []  # one for many inputs: to make one takes longer than to use it
TEXTS_MAX = 100_000


def _decoder() -> tuple[Texts, NdjsonDecoder]:
    if not _kept or len(_kept[0][0]) > TEXTS_MAX:
        texts = Texts()
        _kept[:] = [(texts, make_decoder(texts))]
    return _kept[0]


def decode(data: bytes) -> None:
    """The decoder: every line is a record that can be read again, or refused with a reason that can be printed; and
    one line by itself is judged as it is among others."""
    texts, decoder = _decoder()
    batch, alone = Batch(texts), Batch(texts)
    faults = decoder.decode(data, batch)
    for index in range(len(batch)):
        batch.record(index)
    lines = data.split(b"\n")
    refused = decoder.decode_lines(lines, alone)
    if len(alone) != len(batch) or dict(refused) != dict(faults):
        raise Broken(f"{len(batch)} records and {faults}, line by line {len(alone)} and {refused}")
    if not all(reason.isprintable() and 0 <= at < len(lines) for at, reason in faults):
        raise Broken(f"reasons: {faults}")


def feed(data: bytes) -> None:
    """The core: it takes every record that the decoder lets through, says only JSON, and its account adds up; put away
    in bytes half way, it goes on as if nothing had been."""
    whole, account = _run(data, stop=False)
    again, account_again = _run(data, stop=True)
    if whole != again or account != account_again:
        raise Broken("stopped and restored it says something else")
    if account["in"] != sum(account[term] for term in TERMS):
        raise Broken(f"the account does not add up: {account}")
    for number, body in enumerate(whole, start=1):
        if int(json.loads(body)["sequence"]) != number:
            raise Broken(f"sequence {number} is not")


def _run(data: bytes, stop: bool) -> tuple[list[bytes], dict[str, int]]:
    lines = data.split(b"\n")
    texts = Texts()
    core = Core("dc1", texts, RULES)
    bodies: list[bytes] = []
    for half in (lines[: len(lines) // 2], lines[len(lines) // 2 :]):
        batch = Batch(texts)
        core.reject(len(make_decoder(texts).decode_lines(half, batch)))
        core.feed(batch)
        bodies += [event[4] for event in core.take()]
        if stop and half is not lines:
            kept, texts = core.snapshot(), Texts()
            core = Core("dc1", texts, RULES)
            core.restore(kept)
            if core.snapshot() != kept:
                raise Broken("a restored core is put away as other bytes")
    account = core.account()
    if account["in"] > account["rejected"]:  # else there is no wall clock to run on from (signed overflow, UBSan)
        core.finish()
    return bodies + [event[4] for event in core.take()], core.account()


def restore(data: bytes) -> None:
    """A snapshot that is no snapshot is refused by a SnapshotError, nothing else."""
    try:
        Core("dc1", Texts(), RULES).restore(data)
    except SnapshotError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {"decode": decode, "feed": feed, "restore": restore, **WIRES}
