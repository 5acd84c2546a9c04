"""Celery's shelf is read, and nothing that a pickle asks for beside Celery's schedules is made."""

from __future__ import annotations

import os
import pickle
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytz
from celery import Celery
from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import crontab, schedule

from celery_jobsched.clock import UTC
from celery_jobsched.errors import InvalidJob, InvalidSource
from celery_jobsched.importers import places, shelf
from celery_jobsched.importers.draft import Draft
from celery_jobsched.job import Job

NOW = datetime(2026, 11, 20, 22, 45, 10, tzinfo=UTC)
LAST = datetime(2026, 11, 20, 22, 0, 7, tzinfo=UTC)
HOUR = timedelta(hours=1)


def read(entries: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> list[Draft]:
    return shelf.of_entries(pickle.dumps(entries, protocol))


def entry(when: Any, last_run_at: Any = LAST, **given: Any) -> ScheduleEntry:
    app = Celery("proj", set_as_current=False)
    return ScheduleEntry("a", "proj.note", last_run_at, 3, when, app=app, **given)


@pytest.mark.parametrize("protocol", range(3, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "zone", [timezone.utc, pytz.utc, pytz.timezone("Europe/Paris"), ZoneInfo("Europe/Paris")]
)
def test_an_entry_goes_on_in_step_in_whatever_zone_it_ran_last(zone: Any, protocol: int) -> None:
    kept = entry(schedule(2 * HOUR), LAST.astimezone(zone), args=(1,), options={"queue": "q"})

    (draft,) = read({"a": kept}, protocol)
    job = Job.from_dict("a", draft.definition)

    assert job.upcoming(NOW, 1) == [LAST + 2 * HOUR]
    assert (job.args, job.options, draft.notes) == ([1], {"queue": "q"}, [])


def test_a_crontab_of_sets_is_the_same_crontab() -> None:
    (draft,) = read({"a": entry(crontab({0, 30}, hour="*/2"))})

    assert draft.definition["celery"] == "crontab 0,30 */2 * * *"


class Trap:
    """What a pickle can do to whoever reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("where", ["entry", "args", "schedule"])
def test_a_pickle_that_would_run_something_is_refused_before_it_does(
    where: str, tmp_path: Path
) -> None:
    trap: Any = Trap(tmp_path / "sprung")
    kept = {
        "entry": trap,
        "args": entry(schedule(10), args=(trap,)),
        "schedule": entry(schedule(10, nowfun=partial(os.mkdir, str(tmp_path / "sprung")))),
    }[where]

    with pytest.raises(InvalidJob, match="none but Celery's own schedules"):
        read({"a": kept})

    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("pickled", [b"", b"x", pickle.dumps([]), pickle.dumps({"a": 1})[:-2]])
def test_what_is_no_pickle_of_entries_is_refused(pickled: bytes) -> None:
    with pytest.raises(InvalidJob, match="entries"):
        shelf.of_entries(pickled)


def test_the_file_that_celerys_beat_keeps_is_read(tmp_path: Path) -> None:
    entries = {
        "nightly": {"task": "proj.note", "schedule": crontab("30", "2"), "kwargs": {"x": 1}},
        "often": {"task": "proj.note", "schedule": 600.0},
    }
    app = Celery("proj", set_as_current=False, config_source={"beat_schedule": entries})
    path = str(tmp_path / "celerybeat-schedule")
    theirs = PersistentScheduler(app=app, schedule_filename=path)
    often = theirs.schedule["often"]
    theirs.close()

    drafts = {draft.name: draft for draft in shelf.of_entries(places.shelf(path))}
    first = Job.from_dict("often", drafts["often"].definition).upcoming(often.last_run_at, 1)

    assert drafts.keys() == {"nightly", "often", "celery.backend_cleanup"}
    assert drafts["nightly"].definition["kwargs"] == {"x": 1}
    assert first == [often.last_run_at.replace(microsecond=0) + timedelta(seconds=600)]


def test_a_file_that_is_no_shelf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")

    for name in ("text", "absent"):
        with pytest.raises(InvalidSource, match=name):
            places.shelf(str(tmp_path / name))
