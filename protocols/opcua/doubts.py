"""Which monitored items are dead: a server may keep one and tell nothing of it any more.

So do many of a node that was taken away and added anew, as with a new program of a PLC (asyncua, node-opcua and
open62541 all do, and not all of them say that the node was away).
"""

from __future__ import annotations

from asyncua import ua

from ext.opcua_values import Reading

GONE = frozenset({ua.StatusCodes.BadNodeIdUnknown, ua.StatusCodes.BadNodeIdInvalid})


class Doubt:
    """About one item. Times are the event loop's, in seconds."""

    def __init__(self) -> None:
        self._heard: Reading | None = None
        self._since: float | None = None
        self._patience = 1

    def began(self) -> None:
        """It is monitored anew."""
        self._since = None

    def dead(self, heard: Reading | None, read: Reading, now: float, sign_at: float, quiet_s: float) -> str | None:
        """Why it is: it was told last what `heard` is, reads as `read` (good), and nothing came for `quiet_s`, though
        its subscription was heard, last at `sign_at`."""
        if heard is not None and heard.status in GONE:
            return "its node was away"
        if heard is not None and _same(heard.value, read.value):
            self._since = None
            return None
        if self._since is None or self._heard is not heard:
            self._heard, self._since = heard, now
            return None
        if sign_at - self._since < quiet_s * self._patience:
            return None
        self._patience *= 2  # if it comes again, it is a server that is slow to tell, or does not tell of all
        return "its value has changed, and the server did not tell"


def _same(one: object, other: object) -> bool:
    return one == other or repr(one) == repr(other)  # NaN is not equal to itself
