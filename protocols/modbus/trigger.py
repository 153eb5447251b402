"""When a poll makes a record: changes and edges between two polls. Synchronous and pure."""

from __future__ import annotations

from protocols.modbus.decode import Value, Values
from protocols.modbus.layouts import Trigger


class Watch:
    """One trigger and what it saw last. A value that was not read (its request failed) leaves the memory as it was."""

    def __init__(self, trigger: Trigger) -> None:
        self._on = trigger.on
        self._register = trigger.register
        self._debounce_s = trigger.debounce_ms / 1000
        self._known = False
        self._last: Value = None
        self._new: Value = None
        self._new_since: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a new value has not been there for long enough yet: look again, even if nothing changes."""
        return self._new_since is not None

    def forget(self) -> None:
        """The device was away: its next value is the state, not an event."""
        self._known = False
        self._new_since = None

    def fires(self, values: Values, now: float = 0.0) -> bool:
        """Whether these values, the next that were read, make a record. `now`: monotonic seconds."""
        if self._register is None:
            return bool(values)
        if self._register not in values:
            return False
        value, known = values[self._register], self._known
        self._known = True
        if known and value != self._last and not self._holds(value, now):
            return False
        last, self._last, self._new_since = self._last, value, None
        if not known or value is None or value == last:
            return False
        return self._on == "change" or bool(value) == (self._on == "rising")

    def _holds(self, value: Value, now: float) -> bool:
        """Whether the new value has been the same for long enough."""
        if self._new_since is None or value != self._new:
            self._new, self._new_since = value, now
        return now - self._new_since >= self._debounce_s
