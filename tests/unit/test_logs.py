"""Log lines: one line, no control characters, limited per cause."""

from __future__ import annotations

import logging

from engine.logs import ALIKE_MAX, SAME_MAX, WINDOW_S, OneLine, PerCause, escaped


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
