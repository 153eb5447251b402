"""Secrets: named in the site file, read where they are used, shown nowhere.

In the site file a secret is a table with exactly one key:

    password = { file = "/run/credentials/sortline/mqtt" }
    password = { env = "SORTLINE_MQTT_PASSWORD" }

The value itself never stands in the site file, in a repr, an error, a log line or an encoded config: only where it is
kept does. It is read anew by every `reveal()`, so that a rotated file is picked up by the next connection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.errors import Refused

FILE_BYTES_MAX = 65_536


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a secret is kept: `file` (its whole content, one trailing line end taken off) or `env` (a variable)."""

    file: str | None = None
    env: str | None = None

    def reveal(self) -> str:
        """The secret. Raises `Refused`, naming the place and never the content, if it cannot be read or is empty."""
        text = _from_file(Path(self.file)) if self.file is not None else _from_env(self.env)
        if not text:
            raise Refused(f"secret {self}: is empty")
        return text

    def faults(self) -> Iterator[tuple[str, str]]:
        """What `check` reports; reads the secret once to see that it is there, and forgets it."""
        if (self.file is None) == (self.env is None):
            yield "", 'a secret has exactly one key: { file = "..." } or { env = "..." }'
            return
        try:
            self.reveal()
        except Refused as error:
            yield "", str(error)

    def __str__(self) -> str:
        return f"file {self.file}" if self.file is not None else f"env {self.env}"

    def __repr__(self) -> str:
        return f"Secret({self})"


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
        if len(raw) > FILE_BYTES_MAX:
            raise Refused(f"secret file {path}: longer than {FILE_BYTES_MAX} bytes")
        text = raw.decode("utf-8")
    except OSError as error:
        raise Refused(f"secret file {path}: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        # `from None`: the original error carries the bytes
        raise Refused(f"secret file {path}: is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_env(name: str | None) -> str:
    value = os.environ.get(name or "")
    if value is None:
        raise Refused(f"secret env {name}: the variable is not set")
    return value
