"""Golden cases of links: who says that a source cannot be heard, and that it can again (section 10, R2, R6)."""

from __future__ import annotations

from tests.cases.told_gaps import OTHER, down, short
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


def R06_a_link_is_back_with_its_second_record() -> Case:
    """R6, R3: numbers 2 and 3 are the first after the link was lost, and 3 arrives first, within the disorder: nothing
    was missed."""
    case = down().tell(STATION, "telemetry", 40.5, seq=3).tell(STATION, "telemetry", 40, 41, seq=2)
    case.tell(STATION, "telemetry", 60, seq=4)
    return short(case, 1, "exact").never_raised("SEQ_GAP").cleared("SRC_DOWN", STATION, t=40.5)


def R06_a_link_is_back_and_a_number_comes_too_late() -> Case:
    """R6: as above, and 2 comes when the watermark has passed 3: it fills its place, and says nothing of the time
    without a link."""
    case = down().tell(STATION, "telemetry", 40.5, seq=3).tell(STATION, "telemetry", 50, seq=4)
    case.tell(STATION, "telemetry", 40, 51, seq=2, hist=True).until(400)
    return short(case, 1, "incomplete").cleared("SEQ_GAP", STATION)
