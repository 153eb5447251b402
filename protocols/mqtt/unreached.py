"""Why a broker cannot be listened to, and what to look at."""

from __future__ import annotations

from protocols.linking import unreached
from protocols.mqtt.settings import Settings


def before_an_answer(error: Exception, settings: Settings) -> str:
    """Of a connection that failed before the broker has said anything."""
    why = str(error)
    if isinstance(error, OSError | UnicodeError):
        why = unreached(error, settings.connect_ms)
        if not isinstance(error, ConnectionResetError | TimeoutError):
            return why
    # mostly one side speaks TLS, and the other does not
    doubt = "does it speak TLS at this port?" if settings.tls is not None else "does it want TLS? tls = {}"
    return f"{why}; {doubt}"
