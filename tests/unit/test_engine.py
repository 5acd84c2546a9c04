"""What the engine's room says of URLs and errors."""

from __future__ import annotations

import pytest

from celery_jobsched.errors import InvalidSetting
from celery_jobsched.store.engine import backend_of, is_deadlock, safe_url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:secret@localhost/db",
        "postgresql+psycopg:///db?user=me&password=secret",
        "mysql+pymysql://localhost/db?ssl_key_PASSWORD=secret",
    ],
)
def test_a_password_is_shown_nowhere_in_a_url(url: str) -> None:
    assert "secret" not in safe_url(url)
    assert "/db" in safe_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:half@secret@localhost/db",
        "mysql+pymysql://me:half@secret:more@localhost/db",
        "mysql+pymysql://me:half@x:secret@localhost:3306/db",
        "secret",
        "secret://localhost/db?secret",
    ],
)
def test_a_url_that_is_refused_is_not_shown(url: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        backend_of(url)

    told = str(refused.value)
    assert "jobsched_database_url: expected a URL" in told
    assert "half" not in told
    assert "localhost" not in told
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert url.startswith("secret://") or "secret" not in told


def test_an_error_that_carries_anything_is_no_deadlock() -> None:
    assert not is_deadlock(ArithmeticError([{}]))
    assert not is_deadlock(ValueError())
