"""What a configuration declares becomes rows: in every style Celery knows, synced at each start."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.schedules import crontab

from celery_jobsched import InvalidJob, Scheduler
from celery_jobsched.store import fires, tables
from tests.collector import Collector
from tests.processes import wait_until
from tests.records import SECOND, Records, settle, ticking
from tests.stacks import fresh_stack
from tests.unit.test_store import fire

HOURLY = {"task": "proj.note", "every": "1 hour", "args": [1]}
HOUR = timedelta(hours=1)

Style = Callable[[Celery, dict[str, Any], pytest.MonkeyPatch, Path], None]


@pytest.fixture
def records(sqlite_url: str) -> Iterator[Records]:
    with Records(sqlite_url) as records:
        yield records


def app_of(records: Records, jobs: dict[str, Any] | None = None, **conf: Any) -> Celery:
    """An application that declares *jobs*; nothing is ever published by it."""
    app = Celery("proj", broker="memory://", set_as_current=False)
    conf |= {"jobsched_database_url": str(records.engine.url), "jobsched_jobs": jobs or {}}
    app.conf.update(result_expires=None, **conf)
    return app


def start(app: Celery) -> None:
    """A beat of *app* starts, syncs, plans and ends."""
    scheduler = Scheduler(app)
    settle(scheduler)
    scheduler.close()


def declare(records: Records, **jobs: Any) -> None:
    start(app_of(records, jobs))


def by_attribute(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    for name, value in conf.items():
        setattr(app.conf, name, value)


def by_dict(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    app.config_from_object(conf)


def by_object(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    app.config_from_object(SimpleNamespace(**conf))


def by_old_names(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    old = {name.upper(): value for name, value in conf.items() if name != "result_expires"}
    app.config_from_object({**old, "CELERY_TASK_RESULT_EXPIRES": None})


def by_namespace(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    app.config_from_object({f"CELERY_{k.upper()}": v for k, v in conf.items()}, namespace="CELERY")


def by_lower_namespace(app: Celery, conf: dict[str, Any], *_: Any) -> None:
    app.config_from_object({f"celery_{k}": v for k, v in conf.items()}, namespace="celery")


def by_module(
    app: Celery, conf: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    lines = "\n".join(f"{name} = {value!r}" for name, value in conf.items())
    (folder / "conf_of_this_test.py").write_text(lines)
    monkeypatch.syspath_prepend(folder)
    app.config_from_object("conf_of_this_test")


STYLES = [by_attribute, by_dict, by_object, by_module, by_old_names, by_namespace]


@pytest.mark.parametrize("style", [*STYLES, by_lower_namespace], ids=lambda style: style.__name__)
def test_jobs_are_declared_by_every_style_of_configuration(
    style: Style, records: Records, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = Celery("proj", broker="memory://", set_as_current=False)
    conf = {
        "jobsched_database_url": str(records.engine.url),
        "jobsched_jobs": {"report": HOURLY},
        "result_expires": None,
    }
    style(app, conf, monkeypatch, tmp_path)

    start(app)

    row = records.job("report")
    assert set(records.jobs()) == {"report"}
    assert (row["task"], row["every"], row["args"]) == ("proj.note", "1 hour", "[1]")
    assert (row["source"], row["enabled"], row["error"]) == ("config:proj", True, None)
    assert row["next_fire_at"] is not None


def test_the_schedule_of_celerys_own_documentation_runs_unchanged(records: Records) -> None:
    app = app_of(records, timezone="Europe/London")
    app.conf.beat_schedule = {
        "add-every-30-seconds": {"task": "tasks.add", "schedule": 30.0, "args": (16, 16)},
        "add-every-monday-morning": {
            "task": "tasks.add",
            "schedule": crontab(hour=7, minute=30, day_of_week=1),
            "args": (16, 16),
        },
        "check-daily": {
            "task": "tasks.check",
            "schedule": timedelta(days=1),
            "kwargs": {"deep": True},
            "options": {"queue": "slow", "expires": 15.0},
        },
    }

    @app.task(name="tasks.say", shared=False)
    def say(word: str) -> str:
        return word

    @app.on_after_configure.connect(weak=False)
    def set_up_periodic_tasks(sender: Celery, **_: Any) -> None:
        sender.add_periodic_task(10.0, say.s("hello"), name="add every 10")
        sender.add_periodic_task(30.0, say.s("world"), expires=10)

    start(app)

    rows = records.jobs()
    made_at = rows["add-every-30-seconds"]["created_at"].replace(microsecond=0)
    london = made_at.astimezone(ZoneInfo("Europe/London"))
    monday = (london + timedelta(days=(7 - london.weekday()) % 7)).replace(
        hour=7, minute=30, second=0
    )
    monday += timedelta(days=0 if monday > london else 7)
    assert {name: row["next_fire_at"] for name, row in rows.items()} == {
        "add-every-30-seconds": made_at + 30 * SECOND,
        "add-every-monday-morning": monday,
        "check-daily": made_at + timedelta(days=1),
        "add every 10": made_at + 10 * SECOND,
        "tasks.say('world')": made_at + 30 * SECOND,
    }
    assert {row["error"] for row in rows.values()} == {None}
    assert rows["add-every-30-seconds"]["args"] == "[16, 16]"
    assert rows["check-daily"]["kwargs"] == '{"deep": true}'
    assert '"queue": "slow"' in rows["check-daily"]["options"]


def test_an_entry_fires_first_one_interval_after_its_row_was_made(tmp_path: Path) -> None:
    entry = {
        "task": "proj.note",
        "schedule": 1.0,
        "args": [16, 16],
        "options": {"expires": 30, "priority": 3},
    }
    conf = {"beat_schedule": {"add": entry}}
    with (
        fresh_stack("sqlite", "redis", tmp_path, **conf) as stack,
        Records(stack.database_url) as records,
        Collector(stack) as collector,
        ticking(stack) as scheduler,
    ):
        settle(scheduler)
        wait_until(lambda: scheduler.tick() == 0 and collector.count, 5)

        message = collector.messages()[0]
        made_at = records.job("add")["created_at"].replace(microsecond=0)
        assert datetime.fromisoformat(message.fire_at or "") == made_at + SECOND
        assert (message.args, message.properties["priority"]) == ([16, 16], 3)
        assert message.headers["expires"] is not None


@pytest.mark.skipif(importlib.util.find_spec("ephem") is not None, reason="ephem is installed")
def test_a_solar_schedule_without_ephem_is_refused_in_words(records: Records) -> None:
    declare(records)
    records.add("sunset", celery="solar sunset -37.81753 144.96715")

    declare(records)

    assert "ephem" in records.job("sunset")["error"]


def test_one_bad_definition_stops_the_beat_before_anything_is_written(records: Records) -> None:
    jobs = {"good": HOURLY, "bad": {"task": "proj.note", "cron": "never"}}

    with pytest.raises(InvalidJob, match="job 'bad': cron: expected"):
        Scheduler(app_of(records, jobs))

    assert not records.has_tables()


@pytest.mark.parametrize("schedule", ["hourly", None, object()])
def test_an_entry_whose_schedule_is_none_is_refused_by_its_name(
    records: Records, schedule: object
) -> None:
    app = app_of(records, {})
    app.conf.beat_schedule = {"odd": {"task": "proj.note", "schedule": schedule}}

    with pytest.raises(InvalidJob, match=r"job 'odd': (celery|schedule|every): expected"):
        Scheduler(app)


def test_one_name_declared_twice_is_refused(records: Records) -> None:
    app = app_of(records, {"twice": HOURLY})
    app.conf.beat_schedule = {"twice": {"task": "proj.note", "schedule": 30.0}}

    with pytest.raises(InvalidJob, match="job 'twice': name: expected one declaration"):
        Scheduler(app)


def test_a_change_is_written_and_keeps_the_next_fire_unless_the_schedule_changed(
    records: Records,
) -> None:
    declare(records, args=HOURLY, schedule=HOURLY, same=HOURLY)
    ahead = datetime.now(timezone.utc).replace(microsecond=0) + 7 * HOUR
    for name in records.jobs():
        records.edit(name, next_fire_at=ahead, due_at=ahead)

    declare(
        records, args={**HOURLY, "args": [2]}, schedule={**HOURLY, "every": "2 hours"}, same=HOURLY
    )

    rows = records.jobs()
    assert (rows["args"]["args"], rows["args"]["next_fire_at"]) == ("[2]", ahead)
    assert rows["schedule"]["every"] == "2 hours"
    assert rows["schedule"]["next_fire_at"] < ahead
    assert (rows["same"]["version"], rows["same"]["next_fire_at"]) == (0, ahead)


def test_what_is_not_declared_any_more_is_disabled_then_purged(records: Records) -> None:
    declare(records, kept=HOURLY, gone=HOURLY, back=HOURLY, wanted=HOURLY, runs=HOURLY)
    declare(records, kept=HOURLY)
    retired = records.job("gone")
    assert (retired["enabled"], retired["next_fire_at"]) == (False, None)
    assert "no longer declared" in retired["paused_note"]

    declare(records, kept=HOURLY, back=HOURLY)
    back = records.job("back")
    assert (back["enabled"], back["paused_by"], back["paused_note"]) == (True, None, None)
    assert back["next_fire_at"] is not None

    records.edit("wanted", enabled=True)
    running = replace(fire(1), job_id=records.job("runs")["id"], job_name="runs")
    with records.engine.begin() as conn:
        conn.execute(sa.update(tables.fires).values(check_at=None))
        fires.insert_pending(conn, [running], "beat", running.due_at)
        fires.mark_sent(conn, [running.id], check_at=running.due_at)
    for name in ("gone", "wanted", "runs"):
        records.edit(name, updated_at=datetime.now(timezone.utc) - 25 * HOUR)
    declare(records, kept=HOURLY, back=HOURLY)
    assert set(records.jobs()) == {"kept", "back", "wanted", "runs"}


def test_jobs_made_elsewhere_are_left_alone(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    declare(records)
    records.add("by hand", every="3 hours")
    records.add("of another", every="3 hours", source="config:another")
    records.add("ours too", every="3 hours")

    with caplog.at_level(logging.ERROR):
        declare(records, **{"ours too": HOURLY})

    rows = records.jobs()
    assert {(row["every"], row["enabled"], row["version"]) for row in rows.values()} == {
        ("3 hours", True, 0)
    }
    assert "'ours too'" in caplog.text
    assert "left alone" in caplog.text


def test_a_pause_is_never_synced_away(records: Records) -> None:
    declare(records, report=HOURLY)
    records.edit("report", enabled=False, paused_by="me", paused_note="broken upstream")

    declare(records, report={**HOURLY, "args": [2]})

    row = records.job("report")
    assert (row["enabled"], row["paused_by"], row["args"]) == (False, "me", "[2]")


def test_what_the_configuration_turned_off_it_turns_on_again(records: Records) -> None:
    declare(records, old=HOURLY, new={**HOURLY, "enabled": False})
    declare(records, old={**HOURLY, "enabled": False}, new={**HOURLY, "enabled": False})
    assert {row["enabled"] for row in records.jobs().values()} == {False}

    declare(records, old=HOURLY, new=HOURLY)

    assert {row["enabled"] for row in records.jobs().values()} == {True}
    assert None not in {row["next_fire_at"] for row in records.jobs().values()}


def test_an_unknown_option_is_warned_about_with_the_nearest_known_one(
    records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of(records, jobsched_claim_limits=3)

    with caplog.at_level(logging.WARNING):
        start(app)

    assert "jobsched_claim_limits; did you mean jobsched_claim_limit?" in caplog.text
