"""What the real packages write is imported, and fires when they would fire it next.

They are in the tox environment `importers` alone: each package that is not installed skips its
tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.schedules import crontab, schedule

from celery_jobsched.clock import UTC
from celery_jobsched.verbs.imports import Imported
from tests.persons import Person
from tests.services import MISSING, address, require, unique_name

ZONE = "Europe/Paris"
NOW = datetime.now(UTC).replace(microsecond=0)
LAST = NOW - timedelta(minutes=20)
#: Theirs is counted from a clock that goes on meanwhile, and ours in whole seconds.
ABOUT = timedelta(seconds=3)


def package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        pytest.skip(f"{MISSING}package {name}")


def app_with(**conf: Any) -> Celery:
    return Celery("proj", set_as_current=False, config_source={"timezone": ZONE, **conf})


def next_of(entry: Any) -> datetime:
    """When the entry's own beat fires it next, as it answers that beat."""
    is_due, seconds = entry.is_due()
    assert not is_due
    return datetime.now(UTC) + timedelta(seconds=seconds)


def assert_alike(found: Imported, theirs: dict[str, datetime]) -> None:
    ours = {name: job.upcoming(NOW, 1)[0] for name, job in found.jobs.items() if job.enabled}
    assert ours.keys() == theirs.keys()
    assert {name: abs(ours[name] - at) < ABOUT for name, at in theirs.items()} == dict.fromkeys(
        theirs, True
    )


@pytest.fixture
def importer(sqlite_url: str, tmp_path: Path) -> Iterator[Person]:
    person = Person(sqlite_url, tmp_path, timezone=ZONE)
    yield person
    person.close()


@pytest.fixture(scope="module")
def django(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The models of django-celery-beat in a database of their own, and its address."""
    package("django_celery_beat")
    path = tmp_path_factory.mktemp("django") / "django.db"
    engine = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}
    import_module("django.conf").settings.configure(
        DATABASES={"default": engine},
        INSTALLED_APPS=["django_celery_beat"],
        USE_TZ=True,
        TIME_ZONE=ZONE,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )
    import_module("django").setup()
    import_module("django.core.management").call_command("migrate", verbosity=0)
    return f"sqlite:///{path}"


def test_the_tables_of_django_celery_beat(django: str, importer: Person) -> None:
    models = import_module("django_celery_beat.models")
    tasks = models.PeriodicTask.objects
    hourly = models.IntervalSchedule.objects.create(every=1, period="hours")
    daily = models.IntervalSchedule.objects.create(every=1, period="days")
    morning = models.CrontabSchedule.objects.create(
        minute="30", hour="2,14", day_of_week="mon-fri", timezone="US/Pacific"
    )
    christmas = models.ClockedSchedule.objects.create(clocked_time=NOW + timedelta(days=40))
    sunset = models.SolarSchedule.objects.create(event="sunset", latitude=51.5, longitude=-0.12)
    tasks.create(name="hourly", task="proj.note", interval=hourly, last_run_at=LAST, priority=3)
    tasks.create(name="fresh", task="proj.note", interval=daily)
    tasks.create(
        name="cron", task="proj.note", crontab=morning, args='[1, "ü"]', kwargs='{"b": [true]}',
        queue="q", headers='{"team": "fin"}', expire_seconds=60, description="two\nlines",
    )  # fmt: skip
    tasks.create(name="once", task="proj.note", clocked=christmas, one_off=True)
    tasks.create(name="sun", task="proj.note", solar=sunset)
    tasks.create(name="off", task="proj.note", interval=hourly, enabled=False)
    tasks.create(
        name="later", task="proj.note", interval=hourly, start_time=NOW + timedelta(days=3)
    )
    entry = import_module("django_celery_beat.schedulers").ModelEntry
    entries = {row.name: entry(row, app=app_with()) for row in tasks.filter(enabled=True)}

    found = importer.jobs.import_from("django-celery-beat", django, apply=True)

    assert_alike(found, {name: next_of(each) for name, each in entries.items()})
    assert (found.left_out, found.notes, found.jobs["off"].enabled) == ([], [], False)
    cron = importer.jobs["cron"]
    assert (cron.args, cron.kwargs, cron.description) == ([1, "ü"], {"b": [True]}, "two\nlines")
    assert cron.options == {"queue": "q", "expires": 60, "headers": {"team": "fin"}}
    assert importer.jobs["hourly"].options == {"priority": 3}


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix of keys, which are gone afterwards."""
    package("redbeat")
    require("redis")
    found = f"{unique_name()}:"
    yield found
    with redis.Redis.from_url(address("redis")) as client:
        for key in client.scan_iter(f"{found}*"):
            client.delete(key)


def test_the_keys_of_redbeat(prefix: str, sqlite_url: str, tmp_path: Path) -> None:
    entry = package("redbeat").RedBeatSchedulerEntry
    rrule = import_module("redbeat.schedules").rrule
    conf = {"timezone": ZONE, "redbeat_redis_url": address("redis"), "redbeat_key_prefix": prefix}
    app = app_with(**conf)
    when = {
        "hourly": schedule(3600),
        "cron": crontab("30", "2,14", day_of_week="mon-fri"),
        "rule": rrule("WEEKLY", dtstart=NOW - timedelta(days=9, hours=5), byweekday=[0, 4]),
        "off": schedule(60),
    }
    for name, each in when.items():
        entry(
            name, "proj.note", each, args=[1, {"x": None}], kwargs={"a": "{job}"}, app=app,
            enabled=name != "off", options={"queue": "q"},
        ).save().reschedule(last_run_at=LAST if name == "hourly" else NOW)  # fmt: skip
    person = Person(sqlite_url, tmp_path, **conf)

    found = person.jobs.import_from("redbeat", apply=True)

    keys = {name: entry.from_key(f"{prefix}{name}", app=app) for name in when if name != "off"}
    assert_alike(found, {name: next_of(each) for name, each in keys.items()})
    assert (found.left_out, found.notes, person.jobs["off"].enabled) == ([], [], False)
    hourly = person.jobs["hourly"]
    assert (hourly.args, hourly.kwargs) == ([1, {"x": None}], {"a": "{{job}}"})
    assert hourly.options == {"queue": "q"}
    person.close()


def test_the_tables_of_sqlalchemy_celery_beat(importer: Person, tmp_path: Path) -> None:
    package("sqlalchemy_celery_beat")
    models = import_module("sqlalchemy_celery_beat.models")
    schedulers = import_module("sqlalchemy_celery_beat.schedulers")
    url = f"sqlite:///{tmp_path / 'theirs.db'}"
    manager = import_module("sqlalchemy_celery_beat.session").SessionManager()
    engine, sessions = manager.create_session(url, schema=None)
    manager.prepare_models(engine, schema=None)
    with sessions() as session:
        hourly = models.IntervalSchedule(every=1, period="hours")
        cron = models.CrontabSchedule(minute="30", hour="2,14", timezone="US/Pacific")
        christmas = models.ClockedSchedule(clocked_time=NOW + timedelta(days=40))
        session.add_all([hourly, cron, christmas])
        session.flush()
        for name, when, given in (
            ("hourly", hourly, {"last_run_at": LAST, "priority": 3}),
            ("cron", cron, {"args": "[1]", "kwargs": '{"b": 2}', "queue": "q"}),
            ("once", christmas, {"one_off": True}),
            ("off", hourly, {"enabled": False}),
        ):
            row = {"name": name, "task": "proj.note", "description": "x", **given}
            session.add(models.PeriodicTask(schedule_model=when, **row))
        session.commit()
        rows = session.query(models.PeriodicTask).filter_by(enabled=True)
        entries = {row.name: schedulers.ModelEntry(row, sessions, app=app_with()) for row in rows}
        theirs = {name: next_of(each) for name, each in entries.items()}
    engine.dispose()

    found = importer.jobs.import_from("sqlalchemy-celery-beat", url, apply=True)

    assert_alike(found, theirs)
    assert (found.left_out, found.notes, importer.jobs["off"].enabled) == ([], [], False)
    assert importer.jobs["cron"].options == {"queue": "q"}
    assert (importer.jobs["cron"].args, importer.jobs["cron"].kwargs) == ([1], {"b": 2})
    assert importer.jobs["hourly"].options == {"priority": 3}
