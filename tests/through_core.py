"""Feeds canonical records to the compiled core, the way a replay does, and gives back what it emitted."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from engine.contracts import Emitted
from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.ndjson import NdjsonDecoder
from ext.texts import Texts

Record = dict[str, Any]


class Outcome(NamedTuple):
    emitted: list[Emitted]
    account: dict[str, int]
    refused: list[tuple[int, str]]  # (record's number, reason)
    state_bytes: int  # in use at the end, without names

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(one.body) for one in self.emitted]

    @property
    def lines(self) -> list[bytes]:
        return [one.body for one in self.emitted]


def feed(
    records: Sequence[Record],
    site: str = "dc1",
    rules: Mapping[str, int | bool | str] | None = None,
    until_us: int = -1,
    cuts: Sequence[int] = (),
    sources: Mapping[str, Mapping[str, int]] | None = None,
    decoder: NdjsonDecoder | None = None,
) -> Outcome:
    """`cuts`: where the feed is split into batches, as positions in `records`. `sources`: rules of single sources.
    `decoder`: one that is used again, with its texts; to make one costs more than to feed thirty records."""
    decoder = decoder or make_decoder(Texts())
    texts = decoder.texts
    core = Core(site, texts, dict(rules or {}), [(name, dict(own)) for name, own in (sources or {}).items()])
    emitted: list[Emitted] = []
    refused: list[tuple[int, str]] = []
    edges = [0, *sorted(set(cuts) & set(range(len(records)))), len(records)]
    for start, stop in itertools.pairwise(edges):
        batch = Batch(texts)
        lines = [json.dumps(record, ensure_ascii=False).encode() for record in records[start:stop]]
        faults = decoder.decode_lines(lines, batch)
        refused += [(start + at, reason) for at, reason in faults]
        core.reject(len(faults))
        core.feed(batch)
        emitted += [Emitted(*one) for one in core.take()]
    core.finish(until_us)
    emitted += [Emitted(*one) for one in core.take()]
    return Outcome(emitted, core.account(), refused, core.state_bytes() - core.names_bytes())
