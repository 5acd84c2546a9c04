"""What the engine's room says of URLs and errors."""

from __future__ import annotations

import pytest

from celery_jobsched.store.engine import is_deadlock, safe_url


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


def test_an_error_that_carries_anything_is_no_deadlock() -> None:
    assert not is_deadlock(ArithmeticError([{}]))
    assert not is_deadlock(ValueError())
