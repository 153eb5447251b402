"""Subscriptions of a session that is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncua import ua

from protocols.opcua.connection import Connection


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
