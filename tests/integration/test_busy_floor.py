"""Whole stories of a busy floor through `sortline replay` and `sortline score`: every business event as it must be."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import main

TROUBLES = ("--noise", ".3", "--duplicates", ".03", "--disorder-ms", "1500")
LATE = ("--late-picks", ".1", "--late-context", ".2")
SITE = 'site = "dc1"\n[rules]\nshort_on_close = {policy}\nshort_at_cutoff = {policy}\n'

STORIES = [
    *((seed, "plain", (*TROUBLES, *LATE)) for seed in (1, 2, 3)),
    *((seed, "policy", (*TROUBLES, "--short-on-close", "--short-at-cutoff")) for seed in (4, 5, 6)),
    (7, "plain", (*TROUBLES, "--lost-chatter", ".02")),
    (8, "plain", (*TROUBLES, "--outages", "6")),
    (9, "plain", (*TROUBLES, "--skewed")),
]


@pytest.mark.parametrize(("seed", "rules", "told"), STORIES)
def test_a_busy_floor_is_told_right(
    seed: int, rules: str, told: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, truth, events, site = (str(tmp_path / name) for name in ("in.ndjson", "truth", "out.ndjson", "site.toml"))
    Path(site).write_text(SITE.format(policy="true" if rules == "policy" else "false"))
    story = ["simulate", "--busy", "--orders", "120", "--seed", str(seed), "--out", records, "--truth", truth]
    assert main([*story, *told]) == 0
    assert main(["replay", records, "--config", site, "--out", events]) == 0
    capsys.readouterr()
    right = main(["score", events, truth]) == 0
    assert right, capsys.readouterr().out
