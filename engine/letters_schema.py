"""The file of the dead letters: its tables, and what is asked of them quickly. See dead_letters."""

from __future__ import annotations

VERSION = 1
SCHEMA = (
    "CREATE TABLE letters (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, state TEXT NOT NULL, "
    "source TEXT NOT NULL, queue TEXT NOT NULL, sequence INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL, "
    "partitionkey TEXT NOT NULL, raw BLOB NOT NULL, digest BLOB NOT NULL, class TEXT NOT NULL, code TEXT NOT NULL, "
    "reason TEXT NOT NULL, attempts INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, "
    "decoder TEXT NOT NULL, config TEXT NOT NULL, position INTEGER NOT NULL, again INTEGER NOT NULL, "
    "rate REAL NOT NULL, size INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX letters_once ON letters (kind, source, queue, sequence, digest)",
    # what is asked between two letters that are sent must not read all of a hundred thousand
    "CREATE INDEX letters_by_state ON letters (kind, source, queue, state, sequence)",
    "CREATE INDEX letters_by_key ON letters (kind, source, queue, partitionkey, sequence, state)",
    "CREATE INDEX letters_by_size ON letters (kind, size)",
    "CREATE TABLE counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE audit (number INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, "
    "letter INTEGER NOT NULL, id TEXT NOT NULL)",
)
MEND = "Move it away: the engine makes a new one; what was in it stays in the file that you moved"
