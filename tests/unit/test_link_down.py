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


def source_events(records: list[Record]) -> list[tuple[str, str, str]]:
    """Of its link and clock: what, when in seconds, and by which record."""
    events = feed(records).events
    return [(event["data"]["code"], event["time"][17:-1], event["causationid"]) for event in events]


def test_R2_what_is_told_of_a_source_has_the_time_and_the_name_of_the_record_that_said_it() -> None:
    src, gateway, second = "dc1/a", "dc1/gateway", 1_000_000
    gone = {"src": src, "kind": "link.down", "seq": 2, "t": T0 + second, "t_rx": T0 + 2 * second}
    back = {"src": src, "kind": "telemetry", "seq": 3, "t": T0 + 3 * second, "t_rx": T0 + 4 * second}
    skew = {"src": src, "kind": "scan.read", "lu": "L-1", "seq": 4, "t": T0, "t_rx": T0 + 9 * second}
    assert source_events([*heard(src), gone, back, skew]) == [
        ("SRC_DOWN", "21.000000", "dc1/a/0/2/0"),
        ("SRC_DOWN", "23.000000", "dc1/a/0/3/0"),
        ("TIME_SKEW", "29.000000", "dc1/a/0/4/0"),
    ]
    events = source_events([*heard(src), down(gateway, T0 + second, scope="dc1/a")])
    assert [(code, time) for code, time, _ in events] == [("SRC_DOWN", "21.000000")]
    assert events[0][2].startswith("dc1/gateway/h/"), "a record without a number is named by its content"


def test_R2_the_time_of_a_will_is_when_it_came() -> None:
    """It was written when its source connected; nobody's clock is wrong."""
    will = {"src": "dc1/a", "kind": "link.down", "t": T0 - 3_600_000_000, "t_rx": T0 + 4_000_000}
    assert [(code, time) for code, time, _ in source_events([*heard("dc1/a"), will])] == [("SRC_DOWN", "24.000000")]


def test_R2_R6_a_word_of_context_brings_nobody_back() -> None:
    src, second = "dc1/a", 1_000_000
    word = {"src": src, "kind": "lu.release", "lu": "L-1", "rev": 1, "seq": 2, "t": T0 + 2 * second}
    events = source_events([*heard(src), down(src, T0 + second), word | {"t_rx": T0 + 2 * second}])
    assert [(code, time) for code, time, _ in events] == [("SRC_DOWN", "21.000000")]
