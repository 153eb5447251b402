"""Disks that fail at one operation, and disks that are full: at every single one of them, in turn.

An operation that fails ends the process, or nobody is acknowledged; then it starts again, on the same machine or after
a crash, and every promise holds. A sync that failed has lost what it should have written, and nothing says so later.
"""

from __future__ import annotations

import errno
import logging
import random
from collections.abc import Callable, Iterator

import pytest

from tests.adversity.crash_disk import CrashDisk
from tests.adversity.small_world import Limits, Outside, World, live_on, without_threads
from tests.promises import Promises

GROUPS = 12
STEPS_MAX = 400
OPERATIONS = ("create", "write", "sync", "sync_folder", "rename", "unlink", "truncate", "reserve")
LIMITS = Limits(segment_bytes=300, every_bytes=300, keep_bytes=0)
LAZY = Limits(segment_bytes=300, every_bytes=1 << 20, keep_bytes=0)  # no snapshot stands for what is read again


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    with without_threads():
        yield
    logging.disable(logging.NOTSET)


def failing_at(step: int, what: str, error: int) -> tuple[Callable[[str], int], Callable[[], bool]]:
    """Fails at the operation of this kind that has this number; and whether it has come to that."""
    count = 0

    def fail(operation: str) -> int:
        nonlocal count
        count += operation == what
        return error if operation == what and count == step else 0

    return fail, lambda: count >= step


class Life:
    """As far as the disk lets it; `image` and `outside` are what there is afterwards."""

    def __init__(self, disk: CrashDisk, image: bytes = b"", outside: Outside | None = None, first: int = 0) -> None:
        self.disk = disk
        self.outside = outside or Outside()
        self.image = image
        self.ended: OSError | None = None
        self.refused = 0
        world = None
        try:
            world = World(disk, image, self.outside, limits=LIMITS)
            world.start()
            for n in range(first, first + GROUPS):
                self.refused += not world.accept_or_wait([f"LU-{n}", f"LU-{n}b"])
                world.deliver()
        except OSError as error:
            self.ended = error
        if world is not None:
            self.image = world.image
            world.outbox.close()


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("what", OPERATIONS)
def test_an_operation_that_fails_breaks_no_promise(what: str, error: int) -> None:
    draw = random.Random(1)
    for step in range(1, STEPS_MAX):
        disk = CrashDisk()
        disk.fail, reached = failing_at(step, what, error)
        life = Life(disk)
        if not reached():
            break
        disk.fail = lambda operation: 0
        lefts = [disk.restarted(), disk.crashed(None), disk.crashed(None, whole=True), disk.crashed(draw)]
        for number, left in enumerate(lefts):
            outside = life.outside.copy()
            promises = Promises()
            world = live_on(left, life.image, outside, promises, LIMITS, [f"LU-after-{n}" for n in range(4)])
            assert not promises.breaches, (step, number, promises.breaches)
            assert world is not None
            if number:
                continue
            # and once more: what was only read from memory at the start must be on disk since
            promises = Promises()
            memory, outside = disk.restarted(), life.outside.copy()
            world = live_on(memory, life.image, outside, promises, LAZY, [])
            assert world is not None
            again = live_on(memory.crashed(None), world.image, outside.copy(), promises, LAZY, ["LU-last"])
            assert not promises.breaches, (step, "crash after the restart", promises.breaches)
            assert again is not None
    else:
        pytest.fail("there is no end of it")
    assert step > 5, "it was hardly tried"


def test_a_sync_that_failed_is_the_end_of_this_journal() -> None:
    disk = CrashDisk()
    world = World(disk, b"", Outside(), limits=LIMITS)
    world.start()
    world.accept(["LU-1"])
    disk.fail = lambda operation: errno.EIO if operation == "sync" else 0
    with pytest.raises(OSError, match="sync failed"):
        world.accept(["LU-2"])
    disk.fail = lambda operation: 0
    with pytest.raises(RuntimeError):
        world.accept(["LU-3"])
    assert world.outside.acknowledged == ["LU-1"]


@pytest.mark.parametrize("room", range(0, 4_000, 40))
def test_a_full_disk_acknowledges_nobody_and_goes_on_by_itself(room: int) -> None:
    """It is full at the start, while it runs, and again after a restart; then there is room."""
    disk = CrashDisk()
    world = World(disk, b"", Outside(), limits=LIMITS)
    world.start()
    disk.room = room
    waited = 0
    for n in range(60):
        waited += not world.accept_or_wait([f"LU-{n}", f"LU-{n}b"])
        world.deliver()
    promises = Promises()
    promises.check(world.evidence())
    disk.room = 1 << 20
    assert world.accept_or_wait(["LU-room"]), "it goes on by itself"
    world.deliver()
    promises.check(world.evidence())
    promises.kept()
    assert waited or room > 1_500
    for left in (disk.restarted(), disk.crashed(None)):
        left.room = room
        again = Life(left, world.image, world.outside.copy(), first=100)
        assert again.ended is None or again.ended.errno == errno.ENOSPC
        left.room = None
        promises = Promises()
        assert live_on(left.restarted(), again.image, again.outside, promises, LIMITS, ["LU-last"]) is not None
        promises.kept()
