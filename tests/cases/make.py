"""Writes the golden folders and their index: `python -m tests.cases.make`. The folders are what is tested; review their
changes."""

from __future__ import annotations

from pathlib import Path

from tests.cases import (
    told_account,
    told_arrivals,
    told_by_then,
    told_cartons,
    told_corrected,
    told_crossed,
    told_gaps,
    told_last_words,
    told_late_plans,
    told_lifecycles,
    told_links,
    told_numbers,
    told_odd,
    told_overtaken,
    told_pending,
    told_picks,
    told_premises,
    told_replans,
    told_retold,
    told_shared,
    told_shipped,
    told_shipping,
    told_sorter,
    told_splits,
    told_time,
)
from tests.cases.index import INDEX, index
from tests.cases.writing import Writer, write

HERE = Path(__file__).parent


def writers() -> dict[str, Writer]:
    """Folder name -> what writes it."""
    modules = (
        *(told_time, told_gaps, told_links, told_picks, told_corrected, told_cartons, told_premises, told_shipping),
        *(told_shared, told_replans, told_account, told_arrivals, told_lifecycles, told_overtaken),
        *(told_pending, told_sorter, told_splits, told_by_then, told_late_plans, told_retold),
        *(told_numbers, told_odd, told_last_words, told_crossed, told_shipped),
    )
    return {
        name: told
        for module in modules
        for name, told in vars(module).items()
        if name.startswith(("R", "S10")) and callable(told) and told.__module__ == module.__name__
    }


def abouts() -> dict[str, str]:
    """Folder name -> what it shows."""
    return {path.parent.name: path.read_text() for path in HERE.glob("*/about.txt")}


def main() -> None:
    for name, told in writers().items():
        write(HERE / name, told.__doc__ or "", told())
    INDEX.write_text(index(abouts()))


if __name__ == "__main__":
    main()
