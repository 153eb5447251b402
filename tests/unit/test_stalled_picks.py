"""R22, section 11: a window that nobody picks for is stalled until its next pick, or its end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.cases.writing import STATION, WMS, Case, at
from tests.oracle.compare import bare
from tests.through_core import feed


def stalled(**task: object) -> Case:
    """One of three is picked at 10; `pick_stall_ms` after it, at 910, that is an alarm."""
    return Case().order(3).task(3, **task).pick(10).device("telemetry", 1000)  # type: ignore[arg-type]


def episodes(case: Case, subject: str = "task/T-1") -> list[tuple[str, str]]:
    """What happened to PCK_STALLED of it, and at which minute and second."""
    found = [event for event in feed(case.records).events if event["data"].get("code") == "PCK_STALLED"]
    return [(bare(event["type"]), event["time"][14:19]) for event in found if event["subject"] == subject]


def minute(t: float) -> str:
    """22:13:20 is where stories begin."""
    return f"{(13 * 60 + 20 + round(t)) // 60 % 60:02}:{(20 + round(t)) % 60:02}"


ENDS: dict[str, Callable[[Case], Case]] = {
    "its next pick": lambda case: case.pick(1200),
    "the last piece that is put back": lambda case: case.put_back(1200),
    "an operator's short": lambda case: case.short(1200),
    "its cancel": lambda case: case.wms("pick.task_cancelled", 1200, rev=2, task="T-1"),
    "the cancel of its order": lambda case: case.wms("order.cancelled", 1200, rev=2, order="O-1"),
    "a revision that asks for no more": lambda case: case.task(1, t=1200, rev=2),
}


@pytest.mark.parametrize("end", ENDS)
def test_R22_a_stall_ends_with(end: str) -> None:
    case = ENDS[end](stalled()).device("telemetry", 1300)
    begun, ended = episodes(case)
    assert begun == ("exception.raised", minute(910))
    assert ended == ("exception.cleared", minute(1200))


def test_R22_a_stall_ends_with_its_deadline() -> None:
    case = stalled(deadline=at(1200)).device("telemetry", 1300)
    assert episodes(case) == [("exception.raised", minute(910)), ("exception.cleared", minute(1200))]


def test_R22_R20_a_stalled_line_that_is_tasked_anew() -> None:
    """The line's window is the task's from then on, and so is its stall."""
    case = Case().order(3).pick(10, order="O-1", line=1).device("telemetry", 1000).task(3, t=1200)
    case.device("telemetry", 1300).pick(1400, 2)
    assert case.records[-3]["src"] == WMS
    assert episodes(case, "line/O-1/1") == [("exception.raised", minute(910)), ("exception.cleared", minute(1200))]
    assert episodes(case) == [("exception.raised", minute(910)), ("exception.cleared", minute(1400))]


def test_R22_R3_a_close_ends_it_that_comes_after_the_pick_that_followed_it() -> None:
    """The carton was closed at 1200, short by that, and picked into at 1200.2; the press is heard of first."""
    case = Case().order(3).task(3).pick(10, lu="L-1").device("telemetry", 1000).pick(1200.2, 2, rx=1201, lu="L-1")
    case.device("carton.close", 1200, 1201.5, lu="L-1").device("telemetry", 1300)
    told = [event for event in feed(case.records, rules={"short_on_close": True}).events if "code" in event["data"]]
    ends = [event["time"][14:23] for event in told if bare(event["type"]) == "exception.cleared"]
    assert ends == [minute(1200) + ".000"]


def test_R22_a_piece_that_is_put_back_is_no_pick() -> None:
    """Two were picked; when one is put back, its last pick is as long ago as before."""
    case = Case().order(3).task(3).pick(10).pick(20).device("telemetry", 1000).put_back(1200).device("telemetry", 1300)
    assert episodes(case.pick(1400).pick(1401)) == [
        ("exception.raised", minute(920)),
        ("exception.cleared", minute(1400)),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_R22_R3_a_stall_is_a_function_of_the_picks(seed: int) -> None:
    """Two stations pick for one task, and put back, whichever is heard first; each speaks every second."""
    draw = random.Random(seed)
    case, t, picked = Case().order(6).task(6), 10.0, 0
    for _ in range(draw.randint(2, 9)):
        t += draw.choice((0.2, 0.9, 2, 9, 9.9, 10, 10.1, 11, 25))
        station = draw.choice((STATION, "dc1/pick/PTL-02"))
        back = picked > 0 and draw.random() < 0.3
        picked += -1 if back else 1
        (case.put_back if back else case.pick)(t, src=station)
    for station in (STATION, "dc1/pick/PTL-02"):
        case.device("scan.read", 1, src=station, lu="L-9")
        for second in range(2, round(t) + 30):
            case.tell(station, "telemetry", second)
    case.records.sort(key=lambda record: record["t_rx"])
    told = []
    for delay in (0, 1_500_000, 1_500_000):
        records = [
            record | {"t_rx": record["t"] + (draw.randrange(delay) if delay and "seq" in record else 0)}
            for record in case.records
        ]
        events = feed(sorted(records, key=lambda record: record["t_rx"]), rules={"pick_stall_ms": 10_000}).events
        found = [event for event in events if event["data"].get("code") == "PCK_STALLED"]
        told.append([(bare(event["type"]), event["time"], event["data"]["detail"]) for event in found])
    assert told[0] == told[1] == told[2]
