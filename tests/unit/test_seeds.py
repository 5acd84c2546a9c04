"""Each case of the older schedulers: it holds here, or a page says what is done instead and why."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from celery_jobsched.clock import TICK
from celery_jobsched.errors import InvalidJob
from celery_jobsched.job import Job
from tests.processes import ROOT
from tests.seeds import answers, cases
from tests.seeds.asking import Case

PAGE = (ROOT / "docs" / "why" / "seeds.md").read_text()
CASES = cases()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| \w+-", line)
]
#: Their answer and ours, by case; and ours today, of those that wait.
OTHERWISE = {row[0]: (row[1], row[2]) for row in ROWS if len(row) == 4}
WAITING = {name: row[1] for row in ROWS if len(row) == 3 for name in row[0].split(", ")}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_case_holds_or_the_page_says_what_is_done_instead(case: Case, tmp_path: Path) -> None:
    theirs, ours = answers(case, f"sqlite:///{tmp_path}/jobs.db")

    if case["id"] in WAITING:
        assert ours == WAITING[case["id"]]
    else:
        assert (theirs, ours) == OTHERWISE.get(case["id"], (theirs, theirs))


def test_the_page_and_the_cases_agree() -> None:
    known = [case["id"] for case in CASES]
    listed = [*OTHERWISE, *WAITING]
    counts = (len(known), len(known) - len(listed), len(OTHERWISE), len(WAITING))

    assert len(set(known)) == len(known)
    assert len(set(listed)) == len(listed) == len(OTHERWISE) + len(WAITING)
    assert set(listed) <= set(known)
    assert all(theirs != ours for theirs, ours in OTHERWISE.values())
    said = re.search(r"Of the (\d+) cases, (\d+) have .* here, (\d+) another one, and (\d+)", PAGE)
    assert said is not None
    assert tuple(map(int, said.groups())) == counts


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ({"year": 2009, "month": 1, "day": "6-10", "day_of_week": "wed-fri"}, (2009, 1, 7)),
        ({"year": 2009, "week": 15, "day_of_week": "wed"}, (2009, 4, 8)),
    ],
)
def test_with_weekdays_by_name_those_of_apscheduler_hold(
    cron: Case, expected: tuple[int, int, int]
) -> None:
    job = Job.from_dict("seed", {"task": "t", "cron": cron})

    found = job.next_after(datetime(2009, 1, 1, tzinfo=timezone.utc) - TICK)

    assert found == datetime(*expected, tzinfo=timezone.utc)


def test_with_weekdays_by_name_what_never_comes_is_refused() -> None:
    never = {"year": 2009, "month": 1, "day": "6-10", "day_of_week": "mon,sun"}

    with pytest.raises(InvalidJob, match="a date that comes"):
        Job.from_dict("seed", {"task": "t", "cron": never})
