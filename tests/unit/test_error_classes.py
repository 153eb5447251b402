"""What an error means is read off its type and code, never off its text."""

from __future__ import annotations

import errno
import http.client
import importlib
import socket
import sqlite3
import ssl

import msgspec
import pytest
import redis

from engine.error_classes import ERRORS, Class, classify, code_of
from engine.errors import ContentChanged, Full, Refused, SinkFailed, Throttled, Undeliverable


def sqlite_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("says what it likes")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Class.TRANSIENT),
        (ConnectionResetError(errno.ECONNRESET, "x"), Class.UNKNOWN),
        (TimeoutError("x"), Class.UNKNOWN),
        (OSError(errno.EHOSTUNREACH, "x"), Class.TRANSIENT),
        (OSError(errno.ENOSPC, "x"), Class.OPERATOR),
        (PermissionError(errno.EACCES, "x"), Class.OPERATOR),
        (ssl.SSLCertVerificationError("x"), Class.OPERATOR),
        (ssl.SSLEOFError("x"), Class.TRANSIENT),
        (Full("x"), Class.OVERLOAD),
        (Refused("x"), Class.OPERATOR),
        (ContentChanged("x"), Class.BUG),
        (sqlite_error(sqlite3.SQLITE_BUSY), Class.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), Class.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_FULL), Class.OPERATOR),
        (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), Class.OPERATOR),
        (sqlite_error(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError), Class.CORRUPTION),
        (redis.exceptions.ConnectionError("x"), Class.UNKNOWN),
        (redis.exceptions.TimeoutError("x"), Class.UNKNOWN),
        (redis.exceptions.BusyLoadingError("x"), Class.TRANSIENT),
        (redis.exceptions.ReadOnlyError("x"), Class.TRANSIENT),
        (redis.exceptions.OutOfMemoryError("x"), Class.OVERLOAD),
        (redis.exceptions.AuthenticationError("x"), Class.OPERATOR),
        (redis.exceptions.NoPermissionError("x"), Class.OPERATOR),
        (redis.exceptions.ResponseError("x"), Class.OPERATOR),
        (redis.exceptions.MovedError("1 127.0.0.1:1"), Class.TRANSIENT),
        (redis.exceptions.DataError("x"), Class.POISON),
        (socket.gaierror(socket.EAI_AGAIN, "x"), Class.TRANSIENT),
        (http.client.RemoteDisconnected("x"), Class.UNKNOWN),
        (http.client.BadStatusLine("x"), Class.UNKNOWN),
        (Throttled("x", 3.0), Class.OVERLOAD),
        (SinkFailed("x", 503), Class.TRANSIENT),
        (Undeliverable("x", code=422), Class.PERMANENT),
        (sqlite_error(sqlite3.SQLITE_TOOBIG, sqlite3.DataError), Class.PERMANENT),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "timed out"), Class.POISON),
        (msgspec.ValidationError("x"), Class.POISON),
        (RecursionError("x"), Class.POISON),
        (ZeroDivisionError("timed out"), Class.BUG),
        (KeyError("connection refused"), Class.BUG),
    ],
    ids=repr,
)
def test_the_class_of_an_error_is_its_types_and_codes(error: Exception, expected: Class) -> None:
    assert classify(error) is expected


@pytest.mark.parametrize("name", sorted({name for name, _ in ERRORS}))
def test_every_type_in_the_table_is_there(name: str) -> None:
    module, _, type_ = name.rpartition(".")
    found = getattr(importlib.import_module(module), type_)
    assert issubclass(found, BaseException)
    assert f"{found.__module__}.{found.__qualname__}" == name


def test_a_code_says_which_of_its_type_an_error_is() -> None:
    assert code_of(OSError(errno.ENOSPC, "x")) == f"OSError {errno.ENOSPC}"
    assert code_of(Undeliverable("x", code=422)) == "Undeliverable 422"
    assert code_of(sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT)) == f"OperationalError {sqlite3.SQLITE_BUSY}"
    assert code_of(TimeoutError("x")) == "TimeoutError"
