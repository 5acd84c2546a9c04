"""The documentation's tables of states and signals are what the code has."""

from __future__ import annotations

import re
from pathlib import Path

from celery.utils.dispatch import Signal

from celery_jobsched import events
from celery_jobsched.fire import FireState

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "events.md"
OF_EACH_FIRE = ["job", "fire_id", "fire_at", "origin"]
SIGNALS = {
    name: sorted(signal.providing_args)
    for name, signal in vars(events).items()
    if isinstance(signal, Signal)
}


def _tables() -> list[list[list[str]]]:
    """The rows of the page's tables, each cell as what stands in its backticks."""
    tables: list[list[list[str]]] = []
    for block in PAGE.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")][2:]
        if lines:
            tables.append([_cells(line) for line in lines])
    return tables


def _cells(line: str) -> list[str]:
    return [", ".join(re.findall(r"`(\w+)`", cell)) for cell in line.strip("|").split("|")]


def test_each_state_is_told_of() -> None:
    states, _ = _tables()

    assert sorted(row[0] for row in states) == sorted(state.value for state in FireState)


def test_each_signal_is_told_of_with_what_it_says() -> None:
    of_fires, others = _tables()

    told = {row[2]: [*OF_EACH_FIRE, *row[3].split(", ")] for row in of_fires if row[2]}
    told |= {row[0]: row[2].split(", ") for row in others}
    assert {name: sorted(filter(None, said)) for name, said in told.items()} == SIGNALS
