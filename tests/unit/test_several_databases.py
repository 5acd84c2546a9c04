"""Several databases under aliases: what the option takes, and what belongs to which."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from celery._state import task_join_will_block
from celery.app.utils import filter_hidden_settings
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from celery_jobsched import InvalidJob, InvalidSetting, Jobs, Scheduler
from celery_jobsched.cli import jobs as group
from celery_jobsched.publish import _JOINS_DENIED
from celery_jobsched.rate import Rate
from celery_jobsched.runtime import Runtime
from celery_jobsched.several import Several
from celery_jobsched.siblings import Siblings
from celery_jobsched.store import schema
from celery_jobsched.store.engine import make_engine
from celery_jobsched.testing import Beat

DAILY = {"task": "proj.note", "every": "1 day"}


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    return {alias: f"sqlite:///{tmp_path / alias}.db" for alias in ("one", "other")}


@pytest.fixture
def conf(urls: dict[str, str]) -> dict[str, Any]:
    return {"jobsched_database_url": urls, "broker_url": "memory://"}


@pytest.fixture
def app(conf: dict[str, Any]) -> Iterator[Celery]:
    app = made(conf)
    yield app
    app.close()


def made(conf: dict[str, Any], **more: Any) -> Celery:
    return Celery("proj", set_as_current=False, config_source={**conf, **more})


def settings_of(databases: Any) -> Any:
    return Runtime(made({"jobsched_database_url": databases})).settings


def names(app: Celery) -> dict[str, set[str]]:
    """The jobs of each database, without Celery's own."""
    found = {}
    for alias in Runtime(app).databases:
        jobs = Jobs(app, database=alias)
        found[alias] = {name for name in jobs if not name.startswith("celery.")}
        jobs.runtime.close()
    return found


@pytest.mark.parametrize(
    ("databases", "said"),
    [
        ({}, "expected a URL, or a mapping of at least one alias to a URL, got: {}"),
        ({"": "sqlite:///a.db"}, "expected aliases of up to 64 letters, digits and _, got: ''"),
        ({"a b": "sqlite:///a.db"}, "got: 'a b'"),
        ({7: "sqlite:///a.db"}, "got: 7"),
        ({"a": ""}, "jobsched_database_url['a']: expected a URL, got: ''"),
        ({"a": 5}, "jobsched_database_url['a']: expected a URL, got: '…'"),
        ({"a": "no url"}, "jobsched_database_url['a']: expected a URL of sqlite, postgresql"),
        ({"a": "oracle://me:s3cr3t@host/x"}, "jobsched_database_url['a']"),
        ({"a": "postgresql+psycopg://me:s3cr3t@x@host/x"}, "with %40 for each @"),
        ({"postgresql+psycopg://me:s3cr3t@host/x": "a"}, "expected aliases"),
        ({"a": "sqlite:///a.db", "b": "sqlite:///./a.db"}, "['b']: expected a database of its own"),
        (
            {
                "a": "postgresql+psycopg://me:s3cr3t@127.0.0.1/x",
                "b": "postgresql+psycopg://you:s3cr3t@localhost:5432/x",
            },
            "jobsched_database_url['b']: expected a database of its own, got: that of 'a'",
        ),
        (["sqlite:///a.db"], "expected a URL, or a mapping of aliases to URLs"),
    ],
)
def test_what_cannot_be_used_is_refused_by_option_and_alias(databases: Any, said: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        settings_of(databases)

    assert str(refused.value).startswith("jobsched_database_url")
    assert said in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_celery_masks_the_urls_of_aliases_that_say_so() -> None:
    urls = dict.fromkeys(("main_database", "database2"), "mysql+pymysql://me:s3cr3t@h/x")

    assert "s3cr3t" not in str(filter_hidden_settings({"jobsched_database_url": urls}))


def test_schemas_of_one_database_are_apart_and_so_are_databases_of_one_server() -> None:
    server = "postgresql+psycopg://me@localhost"

    settings_of({"a": f"{server}/x", "b": f"{server}/y"})
    settings_of({alias: f"{server}/x?options=-csearch_path%3D{alias}" for alias in ("a", "b")})


def test_an_alias_that_there_is_not_is_refused_with_those_that_there_are(app: Celery) -> None:
    with pytest.raises(InvalidSetting, match=r"alias of .*\(one, other\), got: 'third'"):
        len(Jobs(app, database="third"))
    with pytest.raises(InvalidSetting, match="it is a single URL"):
        len(Jobs(made({"jobsched_database_url": "sqlite:///a.db"}), database="one"))


def test_a_facade_is_about_one_database_the_first_by_default(app: Celery) -> None:
    first, other = Jobs(app), Jobs(app, database="other")
    for jobs in (first, other):
        jobs.prepare()

    first.add("same name", **DAILY)
    other.add("same name", task="proj.note", every="2 days")
    other.add("its own", **DAILY)

    assert names(app) == {"one": {"same name"}, "other": {"same name", "its own"}}
    assert (first["same name"].every, other["same name"].every) == ("1 day", "2 days")


def test_what_is_declared_goes_to_the_first_unless_it_names_another(conf: dict[str, Any]) -> None:
    app = made(
        conf,
        jobsched_jobs={"a": DAILY, "b": {**DAILY, "database": "other"}},
        beat_schedule={"c": {"task": "proj.note", "schedule": 3600.0}},
        jobsched_calendars={"quiet": "sat,sun"},
    )
    other = Jobs(app, database="other")

    @other.every("1 hour")
    @app.task(name="proj.decorated")
    def decorated() -> None: ...

    with Beat(app) as beat:
        beat.tick()

    assert names(app) == {"one": {"a", "c"}, "other": {"b", "proj.decorated"}}
    assert [dict(Jobs(app, database=a).calendars) for a in ("one", "other")] == [
        {"quiet": "sat,sun"}
    ] * 2
    assert "celery.backend_cleanup" not in other


def test_a_declared_job_that_moves_to_another_database_is_retired_where_it_was(
    conf: dict[str, Any],
) -> None:
    for database in ("one", "other"):
        app = made(conf, jobsched_jobs={"a": {**DAILY, "database": database}})
        with Beat(app) as beat:
            beat.tick()

    assert not Jobs(app)["a"].enabled
    assert Jobs(app, database="other")["a"].enabled


@pytest.mark.parametrize(
    ("databases", "expected"),
    [
        (None, "an alias of jobsched_database_url (one, other)"),
        ("sqlite:///a.db", "there are none, it is a single URL"),
    ],
)
def test_a_declared_job_of_no_database_is_refused(
    conf: dict[str, Any], databases: str | None, expected: str
) -> None:
    jobs = {"a": {**DAILY, "database": "third"}}
    more = {"jobsched_database_url": databases} if databases else {}

    with pytest.raises(InvalidJob) as refused:
        Scheduler(made(conf, jobsched_jobs=jobs, **more))

    error = refused.value
    assert (error.job, error.field, error.value) == ("a", "database", "third")
    assert expected in str(error)


def test_a_beat_that_tests_tick_serves_them_all_and_mixes_nothing_up(app: Celery) -> None:
    with Beat(app) as beat:
        beat.tick()
        for alias, every in (("one", "1 minute"), ("other", "2 minutes")):
            Jobs(app, database=alias).add("same name", task="proj.note", every=every)
        beat.run(minutes=4)

        assert len(beat.fires("same name")) == 5 + 3
    with Beat(app, beat.clock, database="other") as only:
        assert len(only.fires("same name")) == 3


def test_a_single_url_needs_no_thread_and_says_nothing_of_aliases(
    urls: dict[str, str], conf: dict[str, Any]
) -> None:
    app = made(conf, jobsched_database_url=urls["one"])
    scheduler = Scheduler(app)

    before = threading.active_count()
    scheduler.tick()

    assert set(scheduler.schedulers) == {None}
    assert [t.name for t in threading.enumerate() if t.name.startswith("jobsched-one")] == []
    assert threading.active_count() <= before + 1  # that which watches the tick
    assert scheduler.info.splitlines()[0].startswith("    . jobs -> sqlite:///")
    scheduler.close()


def test_two_databases_of_one_installation_are_told_apart() -> None:
    siblings = Siblings(None)

    siblings.own("x", "one")
    siblings.own("y", "other")
    siblings.own("x", "one")

    with pytest.raises(InvalidSetting, match=r"\['other'\].* that of 'one', or a copy of it"):
        siblings.own("x", "other")


def test_all_databases_share_one_rate() -> None:
    rate, taken = Rate(1000.0), []
    rate.room(0.0)

    def take() -> None:
        for _ in range(500):
            taken.append(rate.take(0.5, 3))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(taken) == 1000
    rate.spend(-10)
    assert rate.take(0.5, 100) == 10


def test_joins_stay_denied_until_the_last_thread_is_done_and_no_longer() -> None:
    first, second = threading.Event(), threading.Event()

    def publish() -> None:
        with _JOINS_DENIED:
            first.set()
            second.wait(10)

    thread = threading.Thread(target=publish)
    with _JOINS_DENIED:
        thread.start()
        first.wait(10)
    during = task_join_will_block()
    second.set()
    thread.join()

    assert (during, task_join_will_block()) == (True, False)


def run(app: Celery, *words: str) -> Result:
    return CliRunner().invoke(group, list(words), obj=SimpleNamespace(app=app))


def test_each_command_takes_a_database_and_says_which_it_was_about(app: Celery) -> None:
    assert run(app, "db", "upgrade").stdout.count("the tables are of version") == 2
    added = run(app, "add", "a", "task=proj.note", "every=1 day", "--database", "other")
    assert added.exit_code == 0, added.output

    here, there = run(app, "list", "--names"), run(app, "list", "--names", "--database", "other")

    assert "database one; --database names another: other" in here.stderr
    assert (here.stdout, there.stdout, there.stderr) == ("", "a\n", "")
    assert run(app, "--database", "other", "show", "a").exit_code == 0
    assert run(app, "show", "a").exit_code == 4


def test_an_unknown_database_is_wrong_usage(app: Celery, urls: dict[str, str]) -> None:
    single = made({"jobsched_database_url": urls["one"]})

    unknown = run(app, "list", "--database", "third")
    needless = run(single, "list", "--database", "one")

    assert (unknown.exit_code, needless.exit_code) == (2, 2)
    assert "expected one of one, other, got: third" in unknown.output
    assert "there is a single URL" in needless.output


def test_what_concerns_all_databases_is_done_to_all_unless_one_is_named(
    conf: dict[str, Any],
) -> None:
    app = made(conf, jobsched_jobs={"a": {**DAILY, "database": "other"}})
    run(app, "db", "upgrade")

    differs = run(app, "diff")
    synced = run(app, "sync", "--yes")
    frozen = run(app, "freeze", "--yes", "--database", "other")
    thawed = run(app, "thaw")
    sql = run(app, "db", "sql")

    assert (differs.exit_code, synced.exit_code) == (3, 0)
    assert "other: + a: every day" in differs.stdout
    assert "a" in names(app)["other"]
    assert frozen.stdout.startswith("other: ")
    assert thawed.stdout.splitlines() == ["one: nothing was frozen", "other: schedules fire again"]
    assert (sql.exit_code, "expected --database" in sql.output) == (2, True)


def test_databases_that_are_migrated_at_once_do_not_mix_their_migrations_up(tmp_path: Path) -> None:
    engines = [make_engine(f"sqlite:///{tmp_path / str(n)}.db", 5) for n in range(4)]
    together = threading.Barrier(len(engines))

    def migrate(engine: Engine) -> str | None:
        together.wait(10)
        with engine.begin() as conn:
            schema.upgrade(conn)
        with engine.connect() as conn:
            return schema.version_of(conn)

    with ThreadPoolExecutor(len(engines)) as pool:
        versions = list(pool.map(migrate, engines))

    assert versions == [schema.HEAD] * len(engines)
    for engine in engines:
        engine.dispose()


class Sleeper:
    """A scheduler that ticks once each call, or does what it is told."""

    def __init__(self, tick: Callable[[], float]) -> None:
        self.tick, self.closed = tick, threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_what_cannot_be_begun_ends_no_tick_and_keeps_none_of_the_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ticked = threading.Event()

    def tick() -> float:
        ticked.set()
        return 0.01

    def start(thread: threading.Thread) -> None:
        if thread.name == "jobsched-one":
            raise RuntimeError("can't start new thread")
        real(thread)

    real = threading.Thread.start
    several = Several(Celery(set_as_current=False), ["one", "other"], lambda _: Sleeper(tick), 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        several.watch()

    assert ticked.wait(5)
    several.close()
    assert all(each.closed.wait(5) for each in several.schedulers.values())  # type: ignore[attr-defined]


def test_a_second_end_does_not_wait_for_what_hangs() -> None:
    hanging = threading.Event()
    several = Several(
        Celery(set_as_current=False), ["one"], lambda _: Sleeper(lambda: hanging.wait(30)), 0.1
    )
    several.watch()

    several.close()
    begun = time.monotonic()
    several.close()

    assert time.monotonic() - begun < 0.5
    hanging.set()
