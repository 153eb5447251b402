"""What the live view says of a Modbus source, and what it costs where thousands of units change at once."""

from __future__ import annotations

from protocols.modbus.endpoint import Endpoint
from protocols.modbus.standing import NAMED_MAX, Standing

FIRST, SECOND = (Endpoint("tcp", ((host, 502),)) for host in ("plc1", "plc2"))


def test_a_source_is_up_as_long_as_one_link_is() -> None:
    told: list[tuple[str, str]] = []
    standing = Standing(lambda state, why: told.append((state, why)))
    standing.link(FIRST, "connecting", "")
    standing.link(SECOND, "down", "cannot connect")
    standing.link(FIRST, "up", "")
    standing.link(SECOND, "up", "")
    standing.link(FIRST, "down", "closed by the server")
    standing.link(SECOND, "down", "cannot connect")
    assert told == [
        ("connecting", ""),
        ("down", "cannot connect"),
        ("up", ""),
        ("down", "closed by the server"),
    ]


def test_units_that_do_not_answer_are_named_as_far_as_there_is_room() -> None:
    told: list[tuple[str, str]] = []
    standing = Standing(lambda state, why: told.append((state, why)))
    standing.link(FIRST, "up", "")
    for number in range(NAMED_MAX + 2):
        standing.unit(f"L{number}", answers=False)
        standing.unit(f"L{number}", answers=False)
    assert told[1] == ("up", "no answer from L0")
    assert told[-1] == ("up", "no answer from L0, L1, L2, L3, L4, L5, L6, L7 and 2 more")
    standing.unit("L0", answers=True)
    assert told[-1] == ("up", "no answer from L1, L2, L3, L4, L5, L6, L7, L8 and 1 more")
    for number in range(1, NAMED_MAX + 2):
        standing.unit(f"L{number}", answers=True)
    assert told[-1] == ("up", "")
