"""Bodies of OPC UA responses as asyncua encodes them: what the readers in ext/ are held against."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

from ext.opcua_notifications import Publish, read_publish, read_values
from ext.opcua_values import Reading
from protocols.opcua.structures import library_value


def data_value(
    value: ua.Variant | None, status: int = 0, source: datetime | None = None, server: datetime | None = None
) -> ua.DataValue:
    return ua.DataValue(value, ua.StatusCode(ua.UInt32(status)), source, server)


def publish_body(
    *content: object, subscription: int = 1, number: int = 1, more: bool = False, available: Sequence[int] = ()
) -> bytes:
    """A PublishResponse with these notifications (OPC 10000-4 section 5.14.5)."""
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = ua.UInt32(subscription)
    response.Parameters.AvailableSequenceNumbers = [ua.UInt32(one) for one in available]
    response.Parameters.MoreNotifications = more
    response.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(number)
    response.Parameters.NotificationMessage.NotificationData = list(content)
    return bytes(struct_to_binary(response))


def republish_body(*content: object, number: int = 1) -> bytes:
    response = ua.RepublishResponse()
    response.NotificationMessage.SequenceNumber = ua.UInt32(number)
    response.NotificationMessage.NotificationData = list(content)
    return bytes(struct_to_binary(response))


def changes(*values: ua.DataValue, first_handle: int = 1) -> ua.DataChangeNotification:
    """A value of each of the items with the handles from `first_handle` on."""
    items = [
        ua.MonitoredItemNotification(ClientHandle=ua.UInt32(first_handle + index), Value=value)
        for index, value in enumerate(values)
    ]
    return ua.DataChangeNotification(MonitoredItems=items)


def read_body(*values: ua.DataValue) -> bytes:
    response = ua.ReadResponse()
    response.Results = list(values)
    return bytes(struct_to_binary(response))


def read_one(value: ua.DataValue) -> Reading:
    """What becomes of one value on its way through a ReadResponse."""
    _, (reading,) = read_values(read_body(value), library_value)
    return reading


def message(number: int, numbered: bool = True, subscription: int = 1, more: bool = False) -> Publish:
    content: list[Any] = [changes()] if numbered else []
    return read_publish(publish_body(*content, subscription=subscription, number=number, more=more), library_value)


class Guarded:
    """Memory whose last byte borders on a page that may not be touched: whoever reads one byte too far dies."""

    def __init__(self, size_max: int) -> None:
        page = mmap.PAGESIZE
        self._room = (size_max + page - 1) // page * page
        self._map = mmap.mmap(-1, self._room + page)
        libc = ctypes.CDLL(None, use_errno=True)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        if libc.mprotect(ctypes.c_void_p(address + self._room), ctypes.c_size_t(page), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def holding(self, data: bytes) -> memoryview:
        """The data, at the very end of what may be read."""
        self._map[self._room - len(data) : self._room] = data
        return memoryview(self._map)[self._room - len(data) : self._room]
