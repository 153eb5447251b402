"""Commands of sortline on data folders of which one file cannot be used, run by a user to whom rights apply.

    python -m tests.without_rights < cases.json > results.json

A case is [folder, path in it, what becomes of it (an octal mode, or "folder"), arguments]; its result is [exit code,
what was said]. Root is above rights, and has to give that up first.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import engine.run  # noqa: F401 - for the children
from engine import cli

AS_SOMEBODY = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
CAN_GIVE_UP = not AS_SOMEBODY or shutil.which(AS_SOMEBODY[0]) is not None
FOLDER = "folder"
UNEXPECTED = 99


class Case(NamedTuple):
    """folder: is copied to `folder`.now for the case, and is what `arguments` speak of."""

    folder: str
    path: str
    becomes: str
    arguments: Sequence[str]


def run_all(cases: Sequence[Case]) -> list[tuple[int, str]]:
    """The results, in the order of the cases."""
    done = subprocess.run(
        [*AS_SOMEBODY, sys.executable, "-m", "tests.without_rights"],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in json.loads(done.stdout)]


def _run(case: Case) -> tuple[int, str]:
    now = Path(f"{case.folder}.now")
    shutil.copytree(case.folder, now)
    said = now.with_suffix(".said")
    try:
        with _spoilt(now / case.path, case.becomes):
            code = _in_a_child(case.arguments, said)
        return code, said.read_text()
    finally:
        shutil.rmtree(now)


def _in_a_child(arguments: Sequence[str], said: Path) -> int:
    """The command, where everything is imported already: that is most of a short one's time."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = UNEXPECTED
    try:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        code = cli.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


@contextlib.contextmanager
def _spoilt(path: Path, becomes: str) -> Iterator[None]:
    if becomes == FOLDER:
        path.unlink(missing_ok=True)
        path.mkdir()
        yield
        return
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(int(becomes, 8))
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.chmod(before)


if __name__ == "__main__":
    results = [_run(Case(*case)) for case in json.load(sys.stdin)]
    json.dump(results, sys.stdout)
