"""A database that says nothing any more: the wait ends, and what is told is what happened."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import sqlalchemy as sa

from celery_jobsched.store.engine import make_engine
from tests.functional.test_outages import proxy_of, via
from tests.proxy import Proxy
from tests.services import fresh_database


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_connection_without_an_answer_is_given_up_and_the_next_one_works(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with fresh_database(kind, tmp_path) as url, proxy_of(url) as proxy:
        engine = make_engine(via(url, proxy), 1.0)

        with pytest.raises(sa.exc.OperationalError) as told:
            ask_in_silence(engine, proxy)
        proxy.heal()
        with engine.connect() as conn:
            answer = conn.execute(sa.text("SELECT 3")).scalar()
        engine.dispose()

    assert "in progress" not in str(told.value)
    assert answer == 3
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def ask_in_silence(engine: sa.Engine, proxy: Proxy) -> None:
    with engine.connect() as conn:
        conn.execute(sa.text("SELECT 1"))
        proxy.stall()
        conn.execute(sa.text("SELECT 2"))
