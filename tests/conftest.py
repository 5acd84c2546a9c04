"""The fixtures that every test shares, and the count of what was skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from celery_jobsched.locks import Locks
from tests.locks import PLACES, Place, fresh_place
from tests.services import DATABASES, MISSING, fresh_database
from tests.stacks import PAIRS, Stack, end_session, fresh_stack


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh empty database, once of each kind."""
    with fresh_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("sqlite", tmp_path) as url:
        yield url


@pytest.fixture
def postgresql_url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
def mysql_url(tmp_path: Path) -> Iterator[str]:
    with fresh_database("mysql", tmp_path) as url:
        yield url


@pytest.fixture(params=PAIRS, ids="-".join)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A fresh database with a fresh broker, once for each of `PAIRS`."""
    with fresh_stack(*request.param, tmp_path) as stack:
        yield stack


@pytest.fixture(params=PLACES, scope="module")
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Where locks are kept, once of each kind."""
    with fresh_place(request.param, tmp_path_factory.mktemp("locks")) as place:
        yield place


@pytest.fixture
def locks(place: Place) -> Locks:
    """Locks whose memory is empty, and known to be the first."""
    place.lose()
    locks = place.open()
    locks.open(first=True)
    return locks


def pytest_sessionfinish() -> None:
    end_session()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        if MISSING in reason:
            missing[reason.partition(MISSING)[2].split()[0]] += 1
    if missing:
        each = ", ".join(f"{service} {count}" for service, count in sorted(missing.items()))
        terminalreporter.write_line(
            f"{missing.total()} tests skipped for missing services: {each}", yellow=True
        )
