"""A serial line: termios, and a descriptor that does not block."""

from __future__ import annotations

import contextlib
import fcntl
import os
import termios

from protocols.modbus.endpoint import Serial

PSEUDO_TERMINALS = range(136, 144)
"""Major numbers of devices behind which a program stands (a serial server's): they know no parity, and refuse it."""

_PARITY = {"even": termios.PARENB, "odd": termios.PARENB | termios.PARODD, "none": 0}


def opened(settings: Serial) -> int:
    """The line's descriptor. Raises OSError if it cannot be opened."""
    fd = os.open(settings.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _configure(fd, settings)
    except (OSError, termios.error) as error:
        os.close(fd)
        raise OSError(f"{settings.device} is no serial line: {error}") from None
    return fd


def close(fd: int) -> None:
    with contextlib.suppress(OSError, termios.error):
        # the line keeps that as long as anybody else has it open, and we could not come back
        fcntl.ioctl(fd, termios.TIOCNXCL)
    os.close(fd)


def _configure(fd: int, settings: Serial) -> None:
    """Raw, 8 data bits, ours alone, and empty: what came before belongs to nobody."""
    fcntl.ioctl(fd, termios.TIOCEXCL)
    speed = getattr(termios, f"B{settings.baud}")
    cflag = termios.CS8 | termios.CREAD | termios.CLOCAL
    if os.major(os.fstat(fd).st_rdev) not in PSEUDO_TERMINALS:
        cflag |= _PARITY[settings.parity]
    if (settings.stop_bits or (2 if settings.parity == "none" else 1)) == 2:
        cflag |= termios.CSTOPB
    iflag = termios.INPCK if settings.parity != "none" else 0
    control = termios.tcgetattr(fd)[6]
    termios.tcsetattr(fd, termios.TCSANOW, [iflag, 0, cflag, 0, speed, speed, control])
    termios.tcflush(fd, termios.TCIOFLUSH)
