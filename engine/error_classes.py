"""What an error means for a delivery: one table, by type and code, never by what its message says.

A sink raises whatever its library raises. `classify` looks the error's type up, then its bases; a code (an errno, an
SQLite result, an HTTP status) counts before none. An error that the table does not know is a BUG: it holds its queue
until somebody has looked, because nobody has thought about what it means to go on.
"""

from __future__ import annotations

import errno
import sqlite3
from enum import Enum


class Class(Enum):
    """What to do about an error, whatever it was."""

    TRANSIENT = "transient"  # it passes by itself: again, after a growing, random while
    UNKNOWN = "unknown outcome"  # sent, no answer: again; the sink reads back what arrived
    OVERLOAD = "overload"  # it has too much: again, later and less at once
    OPERATOR = "operator"  # somebody has to put it right: hold, and look now and then
    PERMANENT = "permanent"  # this event will never be taken: a dead letter at once, the next one goes on
    POISON = "poison"  # this event makes the sending fail: alone, three times, then a dead letter
    CORRUPTION = "corruption"  # the sink's own data is damaged: hold
    BUG = "bug"  # nobody thought of it: hold, with the evidence in the log

    @property
    def holds(self) -> bool:
        """Whether a person has to act before it goes on."""
        return self in (Class.OPERATOR, Class.CORRUPTION, Class.BUG)

    @property
    def is_the_events(self) -> bool:
        """Whether the event is the cause, and not the way to the sink."""
        return self in (Class.PERMANENT, Class.POISON)


ERRORS: dict[tuple[str, int | None], Class] = {
    # (type, code); the type's own bases are looked up after it, a code before none
    ("builtins.TimeoutError", None): Class.UNKNOWN,
    ("builtins.ConnectionError", None): Class.UNKNOWN,
    ("builtins.ConnectionRefusedError", None): Class.TRANSIENT,
    ("builtins.EOFError", None): Class.UNKNOWN,
    ("builtins.OSError", None): Class.TRANSIENT,
    ("builtins.OSError", errno.ENOSPC): Class.OPERATOR,
    ("builtins.OSError", errno.EDQUOT): Class.OPERATOR,
    ("builtins.OSError", errno.EIO): Class.OPERATOR,
    ("builtins.OSError", errno.EROFS): Class.OPERATOR,
    ("builtins.FileNotFoundError", None): Class.OPERATOR,
    ("builtins.PermissionError", None): Class.OPERATOR,
    ("builtins.UnicodeError", None): Class.POISON,
    ("builtins.RecursionError", None): Class.POISON,
    ("socket.gaierror", None): Class.TRANSIENT,
    ("ssl.SSLError", None): Class.TRANSIENT,
    ("ssl.SSLCertVerificationError", None): Class.OPERATOR,
    ("http.client.HTTPException", None): Class.UNKNOWN,
    ("msgspec.DecodeError", None): Class.POISON,
    ("engine.errors.Full", None): Class.OVERLOAD,
    ("engine.errors.Throttled", None): Class.OVERLOAD,
    ("engine.errors.Refused", None): Class.OPERATOR,
    ("engine.errors.Undeliverable", None): Class.PERMANENT,
    ("engine.errors.SinkFailed", None): Class.TRANSIENT,
    ("sqlite3.DatabaseError", sqlite3.SQLITE_CORRUPT): Class.CORRUPTION,
    ("sqlite3.DatabaseError", sqlite3.SQLITE_NOTADB): Class.CORRUPTION,
    ("sqlite3.IntegrityError", None): Class.CORRUPTION,  # what was to be new is there, or an index says so
    ("sqlite3.DataError", sqlite3.SQLITE_TOOBIG): Class.PERMANENT,
    ("sqlite3.OperationalError", None): Class.OPERATOR,  # full, read-only, cannot be opened, I/O error, ...
    ("sqlite3.OperationalError", sqlite3.SQLITE_BUSY): Class.TRANSIENT,
    ("sqlite3.OperationalError", sqlite3.SQLITE_LOCKED): Class.TRANSIENT,
    ("redis.exceptions.ConnectionError", None): Class.UNKNOWN,
    ("redis.exceptions.TimeoutError", None): Class.UNKNOWN,
    ("engine.redis_connection.NotNow", None): Class.TRANSIENT,
    ("redis.exceptions.BusyLoadingError", None): Class.TRANSIENT,
    ("redis.exceptions.TryAgainError", None): Class.TRANSIENT,
    ("redis.exceptions.ClusterDownError", None): Class.TRANSIENT,
    ("redis.exceptions.MasterDownError", None): Class.TRANSIENT,
    ("redis.exceptions.AskError", None): Class.TRANSIENT,  # slots are moving between a cluster's nodes
    ("redis.exceptions.MovedError", None): Class.TRANSIENT,
    ("redis.exceptions.ReadOnlyError", None): Class.TRANSIENT,  # a failover is under way
    ("redis.exceptions.OutOfMemoryError", None): Class.OVERLOAD,
    ("redis.exceptions.MaxConnectionsError", None): Class.TRANSIENT,
    ("redis.exceptions.WatchError", None): Class.TRANSIENT,
    ("redis.exceptions.AuthenticationError", None): Class.OPERATOR,
    ("redis.exceptions.AuthorizationError", None): Class.OPERATOR,
    ("redis.exceptions.NoPermissionError", None): Class.OPERATOR,
    ("redis.exceptions.InvalidResponse", None): Class.UNKNOWN,
    ("redis.exceptions.DataError", None): Class.POISON,
    ("redis.exceptions.ResponseError", None): Class.OPERATOR,  # refused by the server: wrong type of key, and the like
}
"""By name, so that a site without Redis never imports its library."""


def classify(error: BaseException) -> Class:
    """The class of an error; BUG for one that ERRORS does not know."""
    codes = {getattr(error, "errno", None), _sqlite_code(error)} - {None}
    for base in type(error).__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        for code in (*codes, None):
            if (name, code) in ERRORS:
                return ERRORS[name, code]
    return Class.BUG


def code_of(error: BaseException) -> str:
    """The error's type, and the code that stands with it: what a dead letter and a finding name it by."""
    code = getattr(error, "code", None) or getattr(error, "errno", None) or _sqlite_code(error)
    name = type(error).__qualname__
    return f"{name} {code}" if isinstance(code, int | str) and code else name


def _sqlite_code(error: BaseException) -> int | None:
    # the extended code's low byte is the primary code, https://www.sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None
