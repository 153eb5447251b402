"""Log lines: one line, no control characters, limited per cause."""

from __future__ import annotations

import logging
import threading

import pytest

from engine import logs
from engine.logs import ALIKE_MAX, CAUSES_MAX, KEPT_S, SAME_MAX, WINDOW_S, OneLine, PerCause, escaped


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("sortline.mqtt", logging.WARNING, __file__, 1, message, args, None)


def test_a_message_is_one_line_without_control_characters() -> None:
    line = OneLine().format(record("topic %s", "a\r\n\x1b[2J\x7f\x9b\u2028\u202eé"))
    assert line.isprintable()
    assert r"a\r\n\x1b[2J\x7f\x9b\u2028\u202eé" in line
    assert " WARNING sortline.mqtt: topic " in line


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        one = record("stopped")
        one.exc_info = (ValueError, error, error.__traceback__)
    assert "\n" not in OneLine().format(one)
    assert r"ValueError: two\nlines" in OneLine().format(one)


def test_plain_text_is_left_alone() -> None:
    assert escaped("Förderer 7 → Tor 3") == "Förderer 7 → Tor 3"


def test_equal_lines_are_limited_and_the_next_window_says_how_many_were_left_out() -> None:
    now = [0.0]
    limit = PerCause(lambda: now[0])
    assert [limit.filter(record("source %s is down", "a")) for _ in range(10)] == [True] * SAME_MAX + [False] * (
        10 - SAME_MAX
    )
    assert limit.filter(record("source %s is down", "b"))
    now[0] = WINDOW_S
    late = record("source %s is down", "a")
    assert limit.filter(late)
    assert f"(and {10 - SAME_MAX} more like this" in OneLine().format(late)


def test_lines_of_one_text_are_limited_whatever_is_put_into_them() -> None:
    limit = PerCause(lambda: 0.0)
    assert sum(limit.filter(record("message %d", i)) for i in range(1_000)) == ALIKE_MAX
    assert limit.filter(record("something else"))


def test_causes_are_forgotten_when_they_are_old_or_too_many() -> None:
    now = [0.0]
    limit = PerCause(lambda: now[0])
    for number in range(3 * CAUSES_MAX):
        limit.filter(record(f"text {number}"))
    assert len(limit._causes) == CAUSES_MAX
    now[0] = KEPT_S
    assert limit.filter(record("another text"))
    assert len(limit._causes) == 2  # the text, and what was made of it


def test_all_that_was_said_is_written_before_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.log_lines():
        for number in range(SAME_MAX):
            logging.getLogger("sortline.test").info("line %d\n", number)
        logging.getLogger("sortline.test").debug("not this one")
        logging.getLogger("a.library").info("nor this one")
        logging.getLogger("a.library").warning("but this")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [r"line 0\n", r"line 1\n", r"line 2\n", "but this"]


def test_a_terminal_that_stands_still_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen:
        def __init__(self) -> None:
            self.reached, self.thaw = threading.Event(), threading.Event()
            self.text = ""

        def write(self, text: str) -> None:
            self.reached.set()
            self.thaw.wait()
            self.text += text

        def flush(self) -> None:
            pass

    terminal = Frozen()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(logs, "LINES_MAX", 10)
    monkeypatch.setattr(logs, "ALIKE_MAX", 1_000)
    with logs.log_lines():
        log = logging.getLogger("sortline.test")
        log.info("line 0")
        assert terminal.reached.wait(60)  # from here on nothing is taken away
        for number in range(1, 100):
            log.info("line %d", number)  # would wait here for ever
        terminal.thaw.set()
        while "line 9" not in terminal.text:
            pass
        log.info("afterwards")
    assert "lines before this one could not be written in time" in terminal.text
    assert "line 99" not in terminal.text
