"""SIGTERM and SIGINT, for commands that work until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def listen(told: Callable[[str], None]) -> None:
    """From now on the running loop calls `told` with the signal's name, and at once for a SIGTERM that waits (cli)."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, told, number.name)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
