"""The command line: exit codes, and a command that cannot be loaded breaks no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine import __version__, cli


def sortline(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version() -> None:
    assert sortline("--version").stdout == f"sortline {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["nope"], ["check"], ["check", "a.toml", "b.toml"], ["check", "--nope", "a"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = sortline(*arguments)
    assert done.returncode == 2
    assert "usage: sortline" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["rnu", "site.toml"], "did you mean run?"),
        (["run", "--plian", "site.toml"], "unrecognized arguments: --plian; did you mean --plain?"),
        (["queue", "lits", "queue.sqlite"], "did you mean list?"),
        (["dlq", "list", "dead.sqlite", "--limt", "3"], "did you mean --limit?"),
    ],
)
def test_wrong_usage_says_what_was_probably_meant(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert meant in capsys.readouterr().err


def test_a_refused_config_is_exit_code_1_with_every_fault_on_stderr(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text('site = "dc1"\n[rules]\nloops_maxx = 1\nshort_on_close = 1\n')
    done = sortline("check", str(site))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "2 faults" in done.stderr
    assert 'rules.loops_maxx: unknown key: did you mean "loops_max"?' in done.stderr
    assert "rules.short_on_close: must be true or false" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_config_is_exit_code_0() -> None:
    done = sortline("check", str(Path(__file__).parents[2] / "examples" / "site.toml"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "good: site dc1" in done.stdout


def test_a_fault_of_ours_is_exit_code_3_and_keeps_the_evidence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "check", ("tests.unit.no_such_module", "broken"))
    assert cli.main(["check", "x"]) == 3
    assert "No module named 'tests.unit.no_such_module'" in capsys.readouterr().err


def test_a_command_that_cannot_be_loaded_breaks_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "simulate", ("tests.unit.no_such_module", "broken"))
    assert cli.main(["check", str(tmp_path / "absent.toml")]) == 1
    assert "absent.toml" in capsys.readouterr().err
