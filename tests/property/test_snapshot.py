"""A core that is stopped anywhere, kept in bytes and restored goes on as if it had never stopped."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.snapshot import SnapshotError
from ext.texts import Texts
from tests import stories
from tests.stories import Record, Story

relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def told(
    records: list[Record],
    rules: dict[str, Any],
    cuts: set[int],
    source_rules: Sequence[tuple[str, dict[str, int]]] = (),
    until_us: int = -1,
) -> tuple[list[bytes], dict[str, int]]:
    """The bodies and the account; at every cut the core is put away as bytes, and another one goes on."""
    texts = Texts()
    core = Core("dc1", texts, rules, source_rules)
    bodies: list[bytes] = []
    for at, record in enumerate(records):
        if at in cuts:
            kept = core.snapshot()
            texts = Texts()
            core = Core("dc1", texts, rules, source_rules)
            core.restore(kept)
            assert core.snapshot() == kept
        batch = Batch(texts)
        assert make_decoder(texts).decode(json.dumps(record).encode(), batch) == []
        core.feed(batch)
        bodies += [event[4] for event in core.take()]
    core.finish(until_us)
    return bodies + [event[4] for event in core.take()], core.account()


@relaxed
@given(stories.stories(), st.integers(0, 2**32))
def test_stopped_anywhere_it_says_the_same_bytes(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    cuts = {draw.randrange(len(story.records)) for _ in range(3)}
    assert told(story.records, story.rules, cuts) == told(story.records, story.rules, set())


def small() -> bytes:
    texts = Texts()
    core = Core("dc1", texts)
    batch = Batch(texts)
    make_decoder(texts).decode(b"\n".join(json.dumps(one).encode() for one in stories.seeded(1).records), batch)
    core.feed(batch)
    core.take()
    return core.snapshot()


def restore(data: bytes, site: str = "dc1") -> None:
    Core(site, Texts()).restore(data)


def test_a_flipped_bit_is_refused() -> None:
    kept = small()
    draw = random.Random(1)
    for at in [0, 8, 10, len(kept) - 1, *(draw.randrange(len(kept)) for _ in range(200))]:
        damaged = bytearray(kept)
        damaged[at] ^= 1 << draw.randrange(8)
        with pytest.raises(SnapshotError):
            restore(bytes(damaged))


def test_a_snapshot_that_was_cut_off_is_refused() -> None:
    kept = small()
    for length in [0, 7, 9, 25, len(kept) // 2, len(kept) - 1]:
        with pytest.raises(SnapshotError):
            restore(kept[:length])


def test_another_version_is_refused_by_its_number() -> None:
    kept = bytearray(small())
    kept[8] += 1
    with pytest.raises(SnapshotError, match="its version is"):
        restore(bytes(kept))


def test_a_snapshot_of_another_site_is_refused() -> None:
    with pytest.raises(SnapshotError, match="site"):
        restore(small(), site="dc2")


def test_events_have_to_be_taken_first() -> None:
    texts = Texts()
    core = Core("dc1", texts)
    batch = Batch(texts)
    make_decoder(texts).decode(b"\n".join(json.dumps(one).encode() for one in stories.seeded(1).records), batch)
    core.feed(batch)
    core.finish()
    with pytest.raises(ValueError, match="take"):
        core.snapshot()


def test_parameters_with_names_in_them_can_be_restored() -> None:
    texts = Texts()
    kept = Core("dc1", texts, {"closing_points": ("SEAL-1",)}).snapshot()
    Core("dc1", Texts(), {"closing_points": ("SEAL-1", "SEAL-2")}).restore(kept)


def test_asking_for_a_position_gives_out_no_number() -> None:
    texts = Texts()
    core = Core("dc1", texts)
    before = len(texts)
    assert core.position("dc1/pick/PTL-01") is None
    assert len(texts) == before


def test_a_smaller_cap_counts_from_the_restore_on() -> None:
    """`state_bytes_max`: what the windows already take is near it, so that is said with the next record."""

    def fed(core: Core, texts: Texts, *records: dict[str, object]) -> list[bytes]:
        batch = Batch(texts)
        make_decoder(texts).decode(b"".join(json.dumps(record).encode() + b"\n" for record in records), batch)
        core.feed(batch)
        return [event[4] for event in core.take()]

    def order(number: int) -> dict[str, object]:
        lines = [{"line": line, "sku": f"SKU-{line}", "qty": 1} for line in range(200)]
        at = stories.T0 + number
        return {
            "src": "dc1/wms/main",
            "kind": "order.released",
            "t": at,
            "t_rx": at,
            "order": f"O-{number}",
            "rev": 1,
            "lines": lines,
        }

    texts = Texts()
    large = Core("dc1", texts)
    assert not fed(large, texts, *map(order, range(40)))
    cap = large.state_bytes() * 5 // 4
    texts = Texts()
    small = Core("dc1", texts, {"state_bytes_max": cap})
    small.restore(large.snapshot())
    (raised,) = fed(small, texts, order(40))
    assert b"CFG_STATE_FULL" in raised


def test_R81_a_manifest_settles_the_tracks_of_all_sorters_in_one_order() -> None:
    """R54, R60: what eight sorters have told of items on them takes effect with the TMS's word, while a scale keeps the
    watermark back: by event time, and not by where a table has the sorters, which is elsewhere after a restart."""
    records: list[Record] = []

    def tell(src: str, t_ms: int, kind: str, **fields: Any) -> None:
        t = stories.T0 + t_ms * stories.MS
        numbered = {} if src == stories.WMS else {"seq": len(records)}
        records.append({"src": src, "kind": kind, "t": t, "t_rx": t, **numbered, **fields})

    tell("dc1/pack/SCL-01", 8_000, "weigh", lu="Z-1", weight_g=5)
    for n in range(8):
        tell(f"dc1/sorter/{(n * 5) % 8}", 8_100 + n, "item.inducted", track="1", lu=f"L-{n}")
    for loop in range(4):
        for n in range(8):
            tell(f"dc1/sorter/{(n * 5) % 8}", 8_200 + 100 * loop + n, "item.recirculated", track="1")
    for n in range(8):
        tell(f"dc1/sorter/{(n * 5) % 8}", 11_000 + n, "telemetry")
    tell(stories.WMS, 11_100, "manifest.result", rev=1, shipment="S-9", manifest_no="M-9", tracking=[])
    bodies, _ = told(records, {}, set())
    subjects = [json.loads(body)["subject"] for body in bodies if b"RTE_MAX_RECIRC" in body]
    assert subjects == [f"lu/L-{n}" for n in range(8)]
    assert told(records, {}, {len(records) - 1})[0] == bodies
