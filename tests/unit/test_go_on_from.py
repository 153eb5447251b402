"""A core that comes after another program's: its revisions are taken, whatever this one made of the records."""

from __future__ import annotations

import json
from typing import Any

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

SECOND = 1_000_000
T0 = 1_700_000_000 * SECOND
PLACE = {"order": "O-1", "line": 1}
TASK = {"src": "dc1/wms/main", "kind": "pick.task", "task": "T-1", "rev": 1, **PLACE, "sku": "A", "qty": 2}
PICK = {"src": "dc1/pick/PTL-01", "kind": "pick.confirm", "seq": 1, "task": "T-1", "sku": "A", "qty": 2}
REVERSED = {"src": "dc1/pick/PTL-01", "kind": "pick.reverse", "seq": 2, "task": "T-1", "sku": "A", "qty": 1}


def confirmed(core: Core, texts: Texts, record: dict[str, Any], second: int) -> list[dict[str, Any]]:
    """What is told of T-1 by that record."""
    t = T0 + second * SECOND
    batch = Batch(texts)
    assert make_decoder(texts).decode(json.dumps({**record, "t": t, "t_rx": t}).encode() + b"\n", batch) == []
    core.feed(batch)
    events = [json.loads(body) for *_, body, _ in core.take()]
    return [event for event in events if event["type"] == "io.sortline.pick.confirmed.v1"]


def test_the_next_revision_of_a_key_comes_after_the_last_that_was_told() -> None:
    texts = Texts()
    core = Core("dc1", texts)
    assert confirmed(core, texts, TASK, 0) == []
    (first,) = confirmed(core, texts, PICK, 10)
    key = first["id"].removesuffix(":r0")
    core.go_on_from({key: 4, "pc1.of-another-key": 9})
    (second,) = confirmed(core, texts, REVERSED, 20)
    assert (second["id"], second["supersedes"]) == (f"{key}:r5", f"{key}:r4")
    assert (first["data"]["qty"], second["data"]["qty"]) == (2, 1)


def test_a_key_that_is_ahead_of_what_was_told_stays() -> None:
    texts = Texts()
    core = Core("dc1", texts)
    confirmed(core, texts, TASK, 0)
    (first,) = confirmed(core, texts, PICK, 10)
    key = first["id"].removesuffix(":r0")
    (second,) = confirmed(core, texts, REVERSED, 20)
    core.go_on_from({key: 0})
    (third,) = confirmed(core, texts, {**PICK, "seq": 3, "qty": 1}, 30)
    assert [second["id"], third["id"]] == [f"{key}:r1", f"{key}:r2"]
