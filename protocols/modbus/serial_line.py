"""A serial line as an asyncio transport: termios, the loop's reader, and nothing between them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import termios

from protocols.modbus.endpoint import Serial

READ_BYTES = 512
PSEUDO_TERMINALS = range(136, 144)
"""Major numbers of devices behind which a program stands (a serial server's): they know no parity, and refuse it."""

_PARITY = {"even": termios.PARENB, "odd": termios.PARENB | termios.PARODD, "none": 0}


class SerialLine(asyncio.Transport):
    """An open line that hands what it reads to `protocol`. Raises OSError if it cannot be opened."""

    def __init__(self, settings: Serial, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._fd = os.open(settings.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _configure(self._fd, settings)
            self._loop.add_reader(self._fd, self._readable)
        except (OSError, termios.error) as error:
            os.close(self._fd)
            raise OSError(f"{settings.device} is no serial line: {error}") from None
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """One frame. A line that does not take it whole is as good as broken: the frame would arrive torn."""
        try:
            if os.write(self._fd, data) == len(data):
                return
        except OSError:
            pass
        self._loop.call_soon(self._lost)

    def is_closing(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            with contextlib.suppress(OSError, termios.error):
                # the line keeps that as long as anybody else has it open, and we could not come back
                fcntl.ioctl(self._fd, termios.TIOCNXCL)
            os.close(self._fd)
            self._fd = -1

    def abort(self) -> None:
        self.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._protocol.data_received(data)
        else:
            # unplugged, or the other end of a pseudo-terminal is gone
            self._lost()

    def _lost(self) -> None:
        if self._fd >= 0:
            self.close()
            self._protocol.connection_lost(None)


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
