"""The examples on the page about the clocks' changes are what happens."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import takewhile

import pytest

from celery_jobsched import clock
from celery_jobsched.job import Job
from tests.processes import ROOT

PAGE = (ROOT / "docs" / "why" / "dst.md").read_text()
ROW = re.compile(r"^\| (`.+`) \| (\S+/\S+) \| (\S+) \| (.*)\|$", re.MULTILINE)
COLUMN = re.compile(r"`(\w+) = ([^`]+)`")
EXAMPLES = [(cells[0], cells[1], cells[2], cells[3].strip()) for cells in ROW.findall(PAGE)]


@pytest.mark.parametrize(("job", "zone", "date", "expected"), EXAMPLES)
def test_an_example_fires_as_the_page_says(job: str, zone: str, date: str, expected: str) -> None:
    definition = {
        "task": "t",
        "timezone": zone,
        "starts_at": "2011-01-01 00:00",
        **dict(COLUMN.findall(job)),
    }
    here = clock.zone(zone)
    begin = clock.instants_of(datetime.fromisoformat(date), here)[0]
    end = clock.instants_of(datetime.fromisoformat(date) + timedelta(days=1), here)[0]

    found = Job.from_dict("j", definition).upcoming(begin - clock.TICK, 10)

    fires = [at.astimezone(here) for at in takewhile(lambda at: at < end, found)]
    assert ", ".join(f"{at:%H:%M %Z}" for at in fires) == expected


def test_the_page_has_examples_of_both_changes() -> None:
    assert len(EXAMPLES) > 10
