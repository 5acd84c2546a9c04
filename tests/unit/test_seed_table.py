"""The page that tells what older schedulers could do names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from celery_jobsched import Jobs
from celery_jobsched.cli import jobs as group

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seeds.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_names_a_test_that_there_is(row: str) -> None:
    path, _, name = row.rsplit("|", 2)[1].strip().strip("`").partition("::")

    text = (ROOT / path).read_text("utf-8")

    assert not name or f"def {name}(" in text


def test_each_verb_that_is_named_is_one() -> None:
    calls = set(re.findall(r"\bjobs\.([a-z_]+)", PAGE))
    commands = set(re.findall(r"\bjobs ([a-z]+)[ `]", PAGE.partition("## pykit")[2]))

    assert {call for call in calls if not hasattr(Jobs, call)} == set()
    assert commands - set(group.commands) == set()
