"""Golden cases of links: who says that a source cannot be heard, and that it can again (section 10, R2, R6)."""

from __future__ import annotations

from tests.cases.told_gaps import OTHER, down
from tests.cases.writing import STATION, Case

GATEWAY = "dc1/gateway/GW-01"


def R06_a_link_that_is_up_again_and_nothing_is_told() -> Case:
    """Section 10, R6: the station can be heard again from 39 on; what it told meanwhile is missing until it speaks."""
    case = down().tell(STATION, "link.up", 39).device("telemetry", 61, src=OTHER).device("telemetry", 70, src=OTHER)
    return case.cleared("SRC_DOWN", STATION, t=39)


def R06_a_link_that_breaks_again_before_anything_is_told() -> Case:
    """Section 10: it is one gap, and two episodes of a station that cannot be heard."""
    case = down().tell(STATION, "link.up", 39).tell(STATION, "link.down", 41).device("telemetry", 61, src=OTHER)
    return case.cleared("SRC_DOWN", STATION, t=39).times("SRC_DOWN", 2).times("SRC_DOWN", 1, "exception.cleared")


def R02_a_gateway_that_is_back_does_not_say_that_a_station_behind_it_is() -> Case:
    """R2: the station's link is down by its own word of 12; that of its gateway was down from 20 to 30."""
    case = down().tell(GATEWAY, "link.down", 20, scope="dc1/pick").tell(GATEWAY, "link.up", 30, scope="dc1/pick")
    return case.raised("SRC_DOWN", STATION)


def R02_a_station_behind_a_gateway_that_is_back() -> Case:
    """R2, section 10: who was only not to be heard over the gateway can be heard again."""
    case = Case().order(3).task(3).pick(10).tell(GATEWAY, "link.down", 20, scope="dc1/pick")
    return case.tell(GATEWAY, "link.up", 30, scope="dc1/pick").cleared("SRC_DOWN", STATION, t=30)


def R02_an_old_link_up() -> Case:
    """R2: a backlog tells that the station was back at 20; since then it has told something, and gone."""
    case = Case().order(3).task(3).pick(10).tell(STATION, "link.down", 12).pick(25).tell(STATION, "link.down", 30)
    return case.tell(STATION, "link.up", 20, 40, hist=True).times("SRC_DOWN", 1, "exception.cleared")
