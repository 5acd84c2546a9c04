"""The page of words says what is said."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from celery_jobsched import Job

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "words.md"
ROWS = re.findall(r"^\| (`.*?`) \| (.*?) \|$", PAGE.read_text(), re.MULTILINE)
MADE_AT = datetime(2026, 11, 21, 2, 52, 22, tzinfo=timezone.utc)


@pytest.mark.parametrize(("schedule", "said"), ROWS)
def test_an_example_of_the_page_is_told_so(schedule: str, said: str) -> None:
    columns = dict(re.findall(r"`(\w+)` `([^`]+)`", schedule))

    job = Job.from_dict("-", {"task": "-", **columns}, "Europe/Berlin")

    assert replace(job, created_at=MADE_AT).describe() == said


def test_there_are_examples() -> None:
    assert len(ROWS) > 10
