"""`state_bytes_max`: a flood of names that nobody knows leaves real work exact and memory under its cap; and what is
forgotten early is never told anew (R46)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from simulators.canonical import tell, write
from simulators.settings import Troubles
from simulators.warehouse import tell_story
from tests.stories import Record

CAP = 8 << 20
SECOND = 1_000_000
T0 = 1_795_420_800_000_000


def fed(records: list[Record], rules: dict[str, Any], slice_of: int = 500) -> tuple[list[dict[str, Any]], Core]:
    texts = Texts()
    core, decoder = Core("dc1", texts, rules), make_decoder(texts)
    batch = Batch(texts)
    bodies: list[bytes] = []
    most = 0
    for at in range(0, len(records), slice_of):
        batch.clear()
        lines = [json.dumps(record).encode() for record in records[at : at + slice_of]]
        assert decoder.decode(b"\n".join(lines), batch) == []
        core.feed(batch)
        bodies += [event[4] for event in core.take()]
        most = max(most, core.state_bytes())
    assert most <= rules.get("state_bytes_max", CAP)
    account = core.account()
    assert account["in"] == len(records) == sum(account.values()) - account["in"]
    core.finish()
    return [json.loads(body) for body in bodies + [event[4] for event in core.take()]], core


def story() -> list[Record]:
    said = tell(tell_story(60, 7), 7, Troubles(noise=0.3, duplicates=0.02, disorder_ms=1_000)).said
    return [json.loads(line) for line in write(said)]


def flood(records: list[Record], each: int) -> list[Record]:
    """Between any two records, `each` of picks, scans and sights of things that nobody has ever told of."""
    flooded: list[Record] = []
    for at, record in enumerate(records):
        flooded.append(record)
        for k in range(each):
            name = f"{at}-{k}"
            ghost: Record = {"src": "dc1/ghost/G-1", "seq": at * each + k, "t_rx": record["t_rx"], "t": record["t_rx"]}
            if k % 3 == 0:
                ghost |= {"kind": "pick.confirm", "task": f"GHOST-{name}", "sku": "S", "qty": 1, "lu": f"GT-{name}"}
            elif k % 3 == 1:
                ghost |= {"kind": "scan.read", "lu": f"GL-{name}", "track": name}
            else:
                ghost |= {"kind": "carton.open", "lu": f"GC-{name}"}
            flooded.append(ghost)
    return flooded


def last_revisions(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Of picks, cartons and shipments: by id without revision."""
    kept = {event["id"].rpartition(":")[0]: event for event in events}
    return {
        key: event["data"]
        for key, event in kept.items()
        if event["type"].split(".")[2] in ("pick", "carton", "shipment")
    }


def test_a_flood_of_unknown_names_leaves_real_work_exact_and_memory_under_its_cap() -> None:
    records = story()
    calm, _ = fed(records, {})
    stormy, core = fed(flood(records, 40), {"state_bytes_max": CAP})
    assert last_revisions(stormy) == last_revisions(calm)
    assert core.account()["rejected"] > 10_000
    codes = [event["data"]["code"] for event in stormy if event["type"].endswith("exception.raised.v1")]
    assert "CFG_STATE_FULL" in codes


def unplanned(count: int) -> list[Record]:
    """Cartons of which nobody told before they were opened, two a second, each at a station that is new until it has
    had one; weighed on a scale that is heard of for the first time when the floor has long been running."""
    order: Record = {"src": "dc1/wms/main", "kind": "order.released", "order": "O-1", "rev": 1, "t": T0, "t_rx": T0}
    records: list[Record] = [order | {"lines": [{"line": 1, "sku": "A", "qty": count}]}]
    for n in range(count):
        t = T0 + n * SECOND // 2
        station, scale = f"dc1/pick/PTL-{n % 40}", f"dc1/pack/SCL-{n // 100}"
        pick = {"order": "O-1", "line": 1, "sku": "A", "qty": 1, "lu": f"BOX-{n}"}
        for at, src, record in (
            (0, station, {"kind": "carton.open", "lu": f"BOX-{n}"}),
            (1, station, {"kind": "pick.confirm", **pick}),
            (2, station, {"kind": "carton.close", "lu": f"BOX-{n}"}),
            (3, scale, {"kind": "weigh", "lu": f"BOX-{n}", "weight_g": 100 + n}),
        ):
            seq = n // 40 * 3 + at if at < 3 else n % 100
            records.append({"src": src, "seq": seq, "t": t + at * 1_000, "t_rx": t + at * 1_000, **record})
    return records


def test_a_flood_keeps_no_new_carton_of_another_source_out() -> None:
    records = unplanned(400)
    calm, _ = fed(records, {})
    assert sum(event["type"] == "io.sortline.carton.closed.v1" for event in calm) == 400
    stormy, core = fed(flood(records, 100), {"state_bytes_max": 4 * CAP})
    assert last_revisions(stormy) == last_revisions(calm)
    assert core.account()["rejected"] > 50_000


def test_a_flood_of_sources_is_refused_when_the_state_is_full() -> None:
    records = flood(unplanned(400), 100)
    for n, record in enumerate(records):
        if record["src"] == "dc1/ghost/G-1":
            record["src"] = f"dc1/ghost/G-{n}"
            if n % 100 == 0:
                record |= {"kind": "source.gap", "t_from": record["t_rx"] - SECOND, "t_to": record["t_rx"]}
    _, core = fed(records, {"state_bytes_max": CAP})
    assert core.account()["rejected"] > 10_000


def flood_of_names(turns: int) -> list[bytes]:
    """Batches of 2 000 records each, every one with a name of its own that nothing remembers."""
    line = b'{"src":"dc1/scan/S-1","kind":"route.assigned","lu":"L-1","dest":"NAME-OF-OWN-%08d","seq":%d,"t_rx":%d}'
    start = 1_795_420_800_000_000
    numbers = [range(turn * 2_000, (turn + 1) * 2_000) for turn in range(turns)]
    return [b"\n".join(line % (n, n, start + n * 1_000) for n in batch) for batch in numbers]


def test_texts_that_nothing_names_give_their_room_back() -> None:
    texts = Texts(bytes_max=1 << 20)
    core, decoder = Core("dc1", texts), make_decoder(texts)
    batch = Batch(texts)
    for lines in flood_of_names(60):
        batch.clear()
        assert decoder.decode(lines, batch) == []
        core.feed(batch)
    assert core.account()["used"] == 120_000


def test_R10_an_object_that_only_a_key_names_is_never_taken_for_another() -> None:
    """The revisions of waves stand under the number of the wave's name, which nothing else holds: it is not given to
    another wave, whose first revision would be outdated by a stranger's."""
    texts = Texts(bytes_max=1 << 20)
    core, decoder = Core("dc1", texts), make_decoder(texts)
    batch = Batch(texts)
    t = 1_795_420_800_000_000 + 24_000_000

    def feed(lines: bytes) -> list[bytes]:
        batch.clear()
        assert decoder.decode(lines, batch) == []
        core.feed(batch)
        return [event[4] for event in core.take()]

    def waves(head: str, rev: int, count: int) -> bytes:
        record = {"src": "dc1/wms/main", "t": t, "t_rx": t, "kind": "wave.released", "orders": [], "rev": rev}
        return b"\n".join(json.dumps(record | {"wave": f"{head}-{n}"}).encode() for n in range(count))

    feed(waves("EARLY", 7, 200))
    for lines in flood_of_names(12):
        feed(lines)
    told = [event for turn in range(28) for event in feed(waves(f"NEW-{turn}", 1, 1_500))]
    assert [event for event in told if b"CTX_OUTDATED" in event] == []
    assert core.account()["rejected"] == 0


def worked(count: int) -> list[Record]:
    """So many tasks of one piece, each picked on time into a tote of its own that closes. Number 0 leaves in S-0."""
    records: list[Record] = []
    for n in range(count):
        t = T0 + n * 40_000
        wms = {"src": "dc1/wms/main", "t": t, "t_rx": t, "rev": 1}
        if n == 0:
            scope = [{"order": "O-0", "line": 1, "qty": 1}]
            records.append(wms | {"kind": "shipment.plan", "shipment": "S-0", "scope": scope})
        records.append(wms | {"kind": "pick.task", **task(n), "deadline": t + 20 * SECOND})
        pick = {"task": f"T-{n}", "sku": "S", "qty": 1, "lu": f"TOTE-{n}"}
        records.append({"src": "dc1/pick/P-1", "kind": "pick.confirm", "t": t, "t_rx": t + 1_000, "seq": n, **pick})
        close = {"src": "dc1/pack/K-1", "kind": "carton.close", "seq": n, "lu": f"TOTE-{n}"}
        records.append(close | {"t": t + 2_000, "t_rx": t + 2_000})
        if n == 1_000:
            records.append(wms | manifest())
    return records


def task(n: int) -> Record:
    return {"task": f"T-{n}", "order": f"O-{n}", "line": 1, "sku": "S", "qty": 1}


def manifest() -> Record:
    return {"kind": "manifest.result", "shipment": "S-0", "manifest_no": "M-0", "tracking": []}


def first_revisions(events: list[dict[str, Any]], type_: str) -> list[str]:
    return [
        event["id"] for event in events if event["type"] == f"io.sortline.{type_}.v1" and event["id"].endswith(":r0")
    ]


@pytest.mark.parametrize("late", [False, True])
def test_R46_what_was_forgotten_early_is_never_told_anew(late: bool) -> None:
    """A full state makes finished windows leave before `lateness_ms`: a late pick of one is dead, no new revision 0."""
    records = worked(10_000)
    if late:
        records.append(
            {"src": "dc1/pick/P-2", "kind": "pick.confirm", "t": T0 + SECOND, "t_rx": records[-1]["t_rx"], "seq": 1}
            | {"task": "T-0", "sku": "S", "qty": 1, "lu": "TOTE-0"}
        )
    events, core = fed(records, {"state_bytes_max": CAP})
    firsts = first_revisions(events, "pick.confirmed")
    assert len(firsts) == len(set(firsts)) == 10_000
    assert core.account()["late"] == late


def test_R46_what_was_forgotten_early_and_is_told_once_more_says_nothing() -> None:
    """Tasks, an allocation and a manifest come again, with deadlines that have passed; then a press and a short."""
    records = worked(10_000)
    end = records[-1]["t_rx"]
    wms = {"src": "dc1/wms/main", "t": end, "t_rx": end}
    scope = [{"order": "O-0", "line": 1, "qty": 1}]
    for n in range(3):
        records.append(wms | {"kind": "pick.task", "rev": 2, **task(n), "deadline": end - SECOND})
    records.append(wms | {"kind": "alloc.failed", "rev": 2, "order": "O-0", "line": 1, "qty": 1, "code": "NO_STOCK"})
    records.append(wms | {"kind": "shipment.plan", "shipment": "S-0", "scope": scope, "rev": 2})
    records.append(wms | manifest() | {"rev": 2})
    press = [{"task": "T-1", "qty": 1}, {"task": "T-2", "qty": 1}]
    device = {"src": "dc1/pick/P-2", "t": end, "t_rx": end}
    records.append(device | {"kind": "pick.confirm", "seq": 1, "sku": "S", "alloc": press, "lu": "TOTE-2"})
    records.append(device | {"kind": "pick.short", "seq": 2, "task": "T-1", "code": "EMPTY"})
    records.append({"kind": "clock.tick", "src": "dc1/engine/clock", "t_rx": end + 60 * SECOND})
    events, core = fed(records, {"state_bytes_max": CAP})
    assert first_revisions(events, "pick.short") == []
    assert len(first_revisions(events, "pick.confirmed")) == 10_000
    assert len(first_revisions(events, "shipment.manifested")) == 1
    assert core.account()["late"] == 2


def test_R46_a_carton_that_was_forgotten_early_is_never_told_anew() -> None:
    """Its unit is bound to it once more, hours later, and it is filled and closed again."""
    records = worked(10_000)
    bind = {"src": "dc1/wms/main", "kind": "lu.bind", "lu": "TOTE-1", "carton": "C-1"}
    records.insert(0, bind | {"rev": 1, "t": T0, "t_rx": T0})
    end = records[-1]["t_rx"]
    records.append(bind | {"rev": 2, "t": end, "t_rx": end})
    records.append({"src": "dc1/wms/main", "kind": "pick.task", "rev": 1, "t": end, "t_rx": end, **task(10_001)})
    pick = {"src": "dc1/pick/P-2", "kind": "pick.confirm", "seq": 1, "task": "T-10001", "sku": "S", "qty": 1}
    records.append(pick | {"lu": "TOTE-1", "t": end + SECOND, "t_rx": end + SECOND})
    close = {"src": "dc1/pack/K-2", "kind": "carton.close", "seq": 1, "lu": "TOTE-1"}
    records.append(close | {"t": end + 2 * SECOND, "t_rx": end + 2 * SECOND})
    events, _ = fed(records, {"state_bytes_max": CAP})
    told = [event["id"] for event in events if event["subject"] == "carton/C-1" and event["id"].startswith("cc1.")]
    assert [id_.rpartition(":")[2] for id_ in told] == ["r0"]
    late = [event["data"]["detail"] for event in events if event["data"].get("code") == "TIME_TOO_LATE"]
    assert late == ["carton.closed"]


def hours_of_trouble(hours: range) -> list[Record]:
    """Every hour a carton that is empty and one that is closed twice, a task of another SKU, a fault with a text of its
    own, and an RMA that comes back whole."""
    records: list[Record] = []
    for n in hours:
        t = T0 + n * 3_600 * SECOND
        wms = {"src": "dc1/wms/main", "t": t, "t_rx": t, "rev": 1}
        order = {"order": f"O-{n}", "lines": [{"line": 1, "sku": "S", "qty": 1}]}
        said: list[Record] = [
            {"kind": "carton.open", "lu": "TOTE-1", "carton": f"EMPTY-{n}"},
            {"kind": "carton.close", "lu": "TOTE-1"},
            {"kind": "carton.void", "lu": "TOTE-1"},
            {"kind": "pick.confirm", "task": f"T-{n}", "sku": "OTHER", "qty": 1, "lu": "TOTE-2", "carton": f"C-{n}"},
            {"kind": "pick.confirm", "task": f"T-{n}", "sku": "S", "qty": 1, "lu": "TOTE-2", "carton": f"C-{n}"},
            {"kind": "carton.close", "lu": "TOTE-2"},
            {"kind": "carton.close", "lu": "TOTE-2"},
            {"kind": "carton.void", "lu": "TOTE-2"},
            {"kind": "fault", "state": "set", "code": f"E-{n}"},
            {"kind": "fault", "state": "clear", "code": f"E-{n}"},
            {"kind": "return.scanned", "sku": "S", "qty": 2, "rma": f"R-{n}"},
            {"kind": "return.scanned", "sku": "S", "qty": 1},
        ]
        records.append(wms | {"kind": "order.released", **order})
        records.append(wms | {"kind": "pick.task", **task(n)})
        records.append(wms | {"kind": "rma.authorised", "rma": f"R-{n}", "lines": [{"sku": "S", "qty": 1}]})
        for k, one in enumerate(said):
            at = t + (k + 1) * SECOND
            records.append({"src": "dc1/pack/K-1", "seq": n * len(said) + k, "t": at, "t_rx": at, **one})
    return records


def test_exceptions_returns_and_faults_of_what_is_over_leave() -> None:
    """After two days and after eight as much is known."""
    rules = {"retention_ms": 10 * 3_600_000, "lateness_ms": 3_600_000}
    sizes = []
    for hours in (48, 192):
        events, core = fed(hours_of_trouble(range(hours)), rules)
        raised = [event["data"]["code"] for event in events if event["type"].endswith("exception.raised.v1")]
        for code in ("PKG_EMPTY", "PKG_DOUBLE_CLOSE", "PCK_WRONG_SKU", "RTN_OVER", "RTN_UNEXPECTED", "DEV_FAULT"):
            assert raised.count(code) == hours, code
        sizes.append(core.state_bytes() - core.names_bytes())  # names go by themselves, and later
    assert sizes[1] < sizes[0] * 1.2, sizes


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "pick.task_cancelled", "rev": 2},
        {"kind": "order.cancelled", "rev": 2},
        {"kind": "carton.close", "lu": "NOREAD"},
    ],
)
def test_what_is_told_of_nothing_that_is_known_is_forgotten(said: Record) -> None:
    """R10: a cancel is kept for a task that is on its way. Nor does a barcode grow that is seen for ever."""

    def held(count: int) -> int:
        records: list[Record] = []
        for number in range(count):
            at = {"t": T0 + number * SECOND, "t_rx": T0 + number * SECOND}
            named = {"task": f"T-{number}", "order": f"O-{number}"} if "rev" in said else {}
            records.append({"src": "dc1/wms/main", "seq": number, **at, **said, **named})
            records.append({"src": "dc1/eye/1", "seq": number, **at, "kind": "jam", "state": "clear"})
        _, core = fed(records, {"lateness_ms": 20_000, "retention_ms": 60_000, "state_bytes_max": CAP})
        return int(core.state_bytes()) - int(core.names_bytes())

    assert held(9_000) < 1.5 * held(2_000)


def hours_apart(*said: Record) -> list[Record]:
    """One every two hours; in between a light barrier keeps time going."""
    records: list[Record] = []
    for n, one in enumerate(said):
        for k in range(4):
            at = T0 + (4 * n + k) * 1_800 * SECOND
            what = one if k == 0 else {"src": "dc1/eye/1", "kind": "jam", "state": "clear"}
            records.append({"t": at, "t_rx": at, **what})
    return records


HOUR_AND_DAY = {"retention_ms": 3_600_000, "lateness_ms": 86_400_000}


def test_R46_a_return_that_was_forgotten_early_is_never_told_anew() -> None:
    home = {"src": "dc1/returns/1", "rma": "R-1", "sku": "A", "qty": 1}
    graded = home | {"kind": "return.graded", "disposition": "RESTOCK"}
    records = hours_apart(
        {"src": "dc1/wms/1", "kind": "rma.authorised", "rma": "R-1", "rev": 1, "lines": [{"sku": "A", "qty": 1}]},
        home | {"kind": "return.scanned"},
        graded | {"grade": "A"},
        home | {"kind": "return.scanned"},
        graded | {"grade": "A"},
        graded | {"grade": "B"},
    )
    events, core = fed(records, HOUR_AND_DAY)
    told = [event for event in events if ".return." in event["type"]]
    assert [event["id"][-3:] for event in told] == [":r0"] * 3
    assert [event["data"].get("grade") for event in told] == [None, "A", "B"]
    assert core.account()["late"] == 2


def test_R46_an_exception_of_a_name_that_comes_again_early_is_numbered_on() -> None:
    box = {"src": "dc1/pack/1", "lu": "TOTE-1", "carton": "C-1"}
    empty = [box | {"kind": "carton.open"}, box | {"kind": "carton.close"}, box | {"kind": "carton.void"}]
    events, _ = fed(hours_apart(*empty, *empty), HOUR_AND_DAY)
    told = [event["id"] for event in events if event["data"].get("code") == "PKG_EMPTY"]
    assert len(told) == len(set(told)) == 2


def test_exceptions_of_a_carton_leave_under_every_name_that_it_had() -> None:
    """Raised of L-1#n, which is given a carton's name afterwards."""

    def held(count: int) -> int:
        records: list[Record] = []
        for number in range(count):
            pack = {"src": "dc1/pack/1", "lu": f"L-{number}"}
            wms = {"src": "dc1/wms/1", "lu": f"L-{number}", "carton": f"C-{number}"}
            said: list[Record] = [
                pack | {"kind": "carton.open"},
                pack | {"kind": "carton.close"},
                wms | {"kind": "lu.bind", "rev": 1},
                wms | {"kind": "lu.release", "rev": 2},
            ]
            for second, one in zip((0, 1, 8, 9), said, strict=True):
                at = T0 + (number * 10 + second) * SECOND
                records.append({"t": at, "t_rx": at, **one})
        events, core = fed(records, {"lateness_ms": 20_000, "retention_ms": 60_000, "close_hold_ms": 0})
        codes = [event["data"]["code"] for event in events if event["type"].endswith("exception.raised.v1")]
        assert codes == ["PKG_EMPTY"] * count
        return int(core.state_bytes()) - int(core.names_bytes())

    assert held(6_000) < 1.5 * held(1_500)


def test_R60_a_track_number_that_never_changes_fills_no_state() -> None:
    """A sorter that says track 0 of everything, and nobody identifies it. `fed` holds it against the cap."""
    told = {"src": "dc1/sorter/1", "kind": "item.recirculated", "track": "0"}
    times = [T0 + n * 2_000 for n in range(100_000)]
    records = [told | {"seq": n, "t": t, "t_rx": t} for n, t in enumerate(times)]
    events, core = fed(records, {"state_bytes_max": 2 * CAP})
    assert [event["data"]["code"] for event in events] == ["ID_UNRESOLVED"]
    assert core.account()["open"] <= 1_024
