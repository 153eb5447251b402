"""Log lines: one line each on stderr, control characters escaped, limited per cause.

What a device sends may turn up in a message (a topic, a node's name); escaped, it can neither break a line nor speak to
a terminal. A fault that repeats a thousand times a second is worth a line now and then, with the number left out.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler

LEVELS = ("debug", "info", "warning", "error")
WINDOW_S = 60.0
SAME_MAX = 3  # equal lines a window
ALIKE_MAX = 60  # lines made of one text a window, whatever was put into it
KEPT_S = 600.0  # so long a cause is remembered: a line that comes once an hour is a new one each time
CAUSES_MAX = 4_096
LINES_MAX = 10_000


@contextmanager
def log_lines(level: str = "info") -> Iterator[None]:
    """Every logger's lines go to stderr inside; ours from `level` on, those of libraries from WARNING on.

    A thread writes them: a terminal that stands still must not hold up whoever has something to say. What it cannot
    keep up with beyond LINES_MAX is left out and counted. All that was said is written before this ends.
    """
    root, ours = logging.getLogger(), logging.getLogger("sortline")
    before = root.handlers, root.level, ours.level
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(LINES_MAX)
    writer = threading.Thread(target=_write, args=(lines,), name="log lines", daemon=True)
    writer.start()
    root.handlers = [_Enqueue(lines)]
    root.setLevel(logging.WARNING)
    ours.setLevel(level.upper())
    try:
        yield
    finally:
        root.handlers, root.level, level_before = before
        ours.setLevel(level_before)  # which also forgets what loggers below it remember
        lines.put(None)
        writer.join()


def _write(lines: queue.Queue[logging.LogRecord | None]) -> None:
    form = OneLine()
    while (record := lines.get()) is not None:
        # asked for anew each time: the live view puts its own in its place while it runs
        print(form.format(record), file=sys.stderr, flush=True)


class _Enqueue(QueueHandler):
    """From any thread, without waiting."""

    def __init__(self, lines: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(lines)
        self.addFilter(PerCause())
        self._left_out = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._left_out:
            record.__dict__["left_out"] = f" ({self._left_out} lines before this one could not be written in time)"
        try:
            self.queue.put_nowait(record)
            self._left_out = 0
        except queue.Full:
            self._left_out += 1


class OneLine(logging.Formatter):
    """`2026-11-23T08:00:12.345Z WARNING sortline.mqtt: text`, in UTC; a traceback follows on the same line."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s%(left_out)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        record.__dict__.setdefault("left_out", "")
        return escaped(super().format(record))


def escaped(text: str) -> str:
    """The text on one line, with control characters (C0, DEL, C1, line and direction marks) as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class PerCause(logging.Filter):
    """Lets SAME_MAX equal lines and ALIKE_MAX lines of one text through in WINDOW_S; the next one that passes says how
    many were left out. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._causes: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        alike = self._window((record.name, str(record.msg)), now)
        same = self._window((record.name, "=" + record.getMessage()), now)
        alike.lines += 1
        same.lines += 1
        if same.lines > SAME_MAX or alike.lines > ALIKE_MAX:
            same.left_out += 1
            return False
        if same.left_out:
            record.left_out = f" (and {same.left_out} more like this since then)"
            same.left_out = 0
        return True

    def _window(self, cause: tuple[str, str], now: float) -> _Window:
        window = self._causes.get(cause)
        if window is None:
            self._forget(now)
            window = self._causes[cause] = _Window(now)
        elif now - window.since >= WINDOW_S:
            window.since, window.lines = now, 0
        self._causes.move_to_end(cause)
        return window

    def _forget(self, now: float) -> None:
        """What nobody has said for long; where there are too many causes, the ones that were said last stay."""
        while self._causes:
            oldest = next(iter(self._causes.values()))
            if now - oldest.since < KEPT_S and len(self._causes) < CAUSES_MAX:
                return
            self._causes.popitem(last=False)


class _Window:
    def __init__(self, since: float) -> None:
        self.since = since
        self.lines = 0
        self.left_out = 0
