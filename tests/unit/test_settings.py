"""The options: read in every style of names, checked once, told when they are unknown."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from celery_jobsched.errors import InvalidSetting
from celery_jobsched.settings import Settings, unknown_options


def test_without_any_option_everything_has_a_default() -> None:
    assert Settings.from_conf({}) == Settings()
    assert Settings.from_conf(Celery(set_as_current=False).conf) == Settings()


@pytest.mark.parametrize(
    "conf",
    [
        {"jobsched_claim_limit": 7},
        {"JOBSCHED_CLAIM_LIMIT": 7},
    ],
)
def test_old_and_new_names_are_read(conf: dict[str, Any]) -> None:
    assert Settings.from_conf(conf).claim_limit == 7


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("claim_limit", 0, "a whole number of at least 1"),
        ("claim_limit", "many", "a whole number of at least 1"),
        ("claim_limit", True, "a whole number of at least 1"),
        ("catchup_limit", 1.5, "a whole number of at least 1"),
        ("poll_interval", 0, "a number of seconds above 0"),
        ("poll_interval", float("nan"), "a number of seconds above 0"),
        ("socket_timeout", float("inf"), "a number of seconds above 0"),
        ("socket_timeout", "5", "a number of seconds above 0"),
        ("history_age", -1, "a number of seconds above 0"),
        ("history_age", 10**11, "a number of seconds above 0 and up to 5e+09"),
        ("auto_migrate", "no", "True or False"),
        ("known_tasks_only", 1, "True or False"),
        ("confirm_publish", "false", "True or False"),
        ("database_url", "", "a URL"),
        ("database_url", 5, "a URL"),
        ("lock_backend", 5, "database or a URL of Redis"),
        ("environment", "", "a word"),
        ("jobs", ["a job"], "a mapping of names to definitions"),
        ("allowed_tasks", "proj.*", "a list of task name patterns"),
        ("allowed_tasks", ["proj.*", 3], "a list of task name patterns"),
        ("max_concurrency", 0, "a whole number of at least 1"),
        ("limits", 3, "a mapping of concurrency keys to numbers of runs"),
        ("limits", {"disk": 0}, "a key and a whole number of at least 1"),
        ("limits", {7: 1}, "a key and a whole number of at least 1"),
        ("max_waiting", 0, "a whole number of at least 1"),
        ("lease", 0.5, "a number of seconds of at least 1"),
        ("lease", 1e300, "a number of seconds of at least 1 and up to 5e+09"),
        ("resend_after", 0, "a number of seconds above 0"),
        ("max_queue_time", -1, "a number of seconds above 0"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: Any, expected: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.from_conf({f"jobsched_{name}": value})

    assert str(refused.value).startswith(f"jobsched_{name}: expected {expected}")


def test_a_refused_url_is_not_shown() -> None:
    with pytest.raises(InvalidSetting) as refused:
        Settings.from_conf({"jobsched_database_url": b"postgresql://me:s3cr3t@host/db"})

    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("given", [["a", "b"], ("a", "b")])
def test_patterns_of_tasks_may_be_any_list(given: Any) -> None:
    assert Settings.from_conf({"jobsched_allowed_tasks": given}).allowed_tasks == ("a", "b")


def test_an_unknown_option_comes_with_the_nearest_one_that_is() -> None:
    conf = {
        "jobsched_databse_url": "x",
        "JOBSCHED_CLAIM_LIMITS": 3,
        "CELERY_JOBSCHED_JOB": {},
        "jobsched_xyzzy": 1,
        "jobsched_jobs": {},
        "broker_url": "y",
    }

    assert unknown_options(conf) == {
        "jobsched_databse_url": "jobsched_database_url",
        "JOBSCHED_CLAIM_LIMITS": "jobsched_claim_limit",
        "CELERY_JOBSCHED_JOB": "jobsched_jobs",
        "jobsched_xyzzy": None,
    }


def test_what_can_hold_a_password_is_not_shown_with_the_others() -> None:
    settings = Settings(
        database_url="mysql://me:secret@host/db", lock_backend="redis://:secret@host"
    )

    assert "secret" not in repr(settings)
    assert "max_waiting=100" in repr(settings)
