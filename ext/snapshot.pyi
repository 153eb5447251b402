"""The whole core in bytes, and back; `Core.snapshot` and `Core.restore` call it."""

class SnapshotError(ValueError):
    """The bytes are no snapshot, are damaged, or were written by another version of the core."""
