"""When a poll makes a record: changes and edges between two polls. Synchronous and pure."""

from __future__ import annotations

from protocols.modbus.decode import Value, Values
from protocols.modbus.settings import Trigger


class Watch:
    """One trigger and what it saw last. A value that was not read (its request failed) leaves the memory as it was."""

    def __init__(self, trigger: Trigger) -> None:
        self._on = trigger.on
        self._register = trigger.register
        self._known = False
        self._last: Value = None

    def forget(self) -> None:
        """The device was away: its next value is the state, not an event."""
        self._known = False

    def fires(self, values: Values) -> bool:
        """Whether these values, the next that were read, make a record."""
        if self._register is None:
            return bool(values)
        if self._register not in values:
            return False
        value, last, known = values[self._register], self._last, self._known
        self._last, self._known = value, True
        if not known or value is None or value == last:
            return False
        return self._on == "change" or bool(value) == (self._on == "rising")
