"""SIGTERM, SIGINT and SIGHUP, for commands that work until they are told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def listen(told: Callable[[str], None]) -> None:
    """From now on the running loop calls `told` with the signal's name, and at once for a SIGTERM that waits (cli)."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup: it shall outlive its terminal
        loop.add_signal_handler(number, told, number.name)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
