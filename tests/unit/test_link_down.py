"""R2: `link.down` is about its own source, or about all within its scope."""

from __future__ import annotations

from tests.stories import T0, Record
from tests.through_core import feed


def down(src: str, t: int, **scope: str) -> Record:
    return {"src": src, "kind": "link.down", "t": t, "t_rx": t, **scope}


def heard(*sources: str) -> list[Record]:
    return [{"src": src, "kind": "scan.read", "lu": "L-1", "seq": 1, "t": T0, "t_rx": T0} for src in sources]


def are_down(records: list[Record]) -> list[str]:
    events = [event["data"] for event in feed(records).events]
    return [data["subject"] for data in events if data.get("code") == "SRC_DOWN"]


def test_R2_link_down_without_a_scope_is_about_its_source_alone() -> None:
    sources = heard("dc1/a", "dc1/a/1", "dc1/b")
    assert are_down([*sources, down("dc1/a", T0 + 1)]) == ["dc1/a"]
    assert are_down([*sources, down("dc1/gateway", T0 + 1)]) == []


def test_R2_link_down_with_a_scope_is_about_all_within_it_by_name() -> None:
    sources = heard("dc1/b", "dc1/a/2", "dc1/a/1")
    assert are_down([*sources, down("dc1/b", T0 + 1, scope="dc1/a")]) == ["dc1/a/1", "dc1/a/2", "dc1/b"]
