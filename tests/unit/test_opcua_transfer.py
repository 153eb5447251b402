"""What a lost connection leaves to be done over the next one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncua import ua

from protocols.opcua.binding import Binding
from protocols.opcua.connection import Connection
from protocols.opcua.entries import EventsEntry, compile_entries
from protocols.opcua.failures import LinkLost
from protocols.opcua.subscribing import refresh_conditions
from protocols.opcua.subscription import Subscription
from tests.opcua import Kept, settings


def test_why_a_server_does_not_hand_them_over_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """open62541 refuses them to anonymous users once the session has timed out."""

    class Session:
        async def transfer_subscriptions(self, parameters: Any) -> list[ua.TransferResult]:
            codes = (ua.StatusCodes.Good, ua.StatusCodes.BadUserAccessDenied)
            return [ua.TransferResult(ua.StatusCode(code)) for code in codes]

    connection: Any = Connection.__new__(Connection)
    connection._source, connection._session = "packing", Session()
    caplog.set_level("INFO", "sortline.opcua")
    assert asyncio.run(connection.transfer([1, 2])) == {1}
    assert [each.message for each in caplog.records] == [
        "packing: subscriptions are not transferred: BadUserAccessDenied"
    ]


def test_conditions_that_a_connection_was_lost_over_are_asked_for_again() -> None:
    """It may be taken up, with the subscription as it stood."""
    alarms = {
        "src": "dc1/sorter/SRT-01",
        "event_type": "AlarmConditionType",
        "fields": {"name": "ConditionName"},
        "conditions": True,
        "record": {"kind": {"const": "jam"}, "code": "name", "state": {"const": "set"}},
    }
    lost, asked = [True], []

    class Line:
        async def refresh_conditions(self, number: int) -> None:
            asked.append(number)
            if lost.pop():
                raise LinkLost("cut")

    async def story() -> None:
        line: Any = Line()
        binding = Binding(
            line, compile_entries(settings("opc.tcp://127.0.0.1:4840/", events={"alarms": alarms}), Kept()), "packing"
        )
        (place,) = binding._places
        place.subscription = Subscription(7, 1.0, [0], 0.0)
        (entry,) = binding.entries
        assert isinstance(entry, EventsEntry)
        subscription = Subscription(7, 1.0, [0], 0.0)
        with pytest.raises(LinkLost):
            await refresh_conditions(line, binding, [subscription])
        lost.append(False)
        await refresh_conditions(line, binding, [subscription])
        await refresh_conditions(line, binding, [subscription])
        assert asked == [7, 7]

    asyncio.run(story())
