"""The fixtures that every test shares, and the count of what was skipped."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from celery_jobsched.locks import Locks
from celery_jobsched.store import schema
from tests import compiled, garbage
from tests.locks import PLACES, Place, fresh_place
from tests.persons import Person
from tests.records import Records
from tests.services import DATABASES, MISSING, fresh_database
from tests.stacks import PAIRS, Stack, end_session, fresh_stack
from tests.turns import Turns

#: What tests count that prove by numbers, as properties of their own.
PROOFS = ("crash points", "walks", "fires on walks", "crashes on walks")
#: The same in each of several processes that run the tests; empty in a single one.
_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
_FOLDER = Path(tempfile.gettempdir()) / f"jobsched-tests-{_RUN}"
_TURNS = Turns(_FOLDER)

# Time is measured where it matters; elsewhere a busy machine must not fail a test.
settings.register_profile("here", deadline=None)
settings.load_profile("here")

compiled.share()

# A table is as wide as its lines, unless a test says otherwise: readline, where pytest
# imports it, leaves the width of a terminal to the processes it starts.
os.environ.pop("COLUMNS", None)


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


@pytest.fixture(scope="module", params=DATABASES)
def kept_records(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Records]:
    """One database of each kind for all tests of a file: making it takes longer than most."""
    folder = tmp_path_factory.mktemp("records")
    with fresh_database(request.param, folder) as url, Records(url) as records:
        schema.prepare(records.engine, True)
        yield records


@pytest.fixture
def records(kept_records: Records) -> Records:
    """Tables with nothing in them, once of each kind of database."""
    kept_records.empty()
    return kept_records


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


@pytest.fixture
def person(database_url: str, tmp_path: Path) -> Iterator[Person]:
    found = Person(database_url, tmp_path)
    yield found
    found.close()


@pytest.fixture
def small_person(sqlite_url: str, tmp_path: Path) -> Iterator[Person]:
    found = Person(sqlite_url, tmp_path)
    yield found
    found.close()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three for the whole suite, which mostly waits; none for a part: that is there sooner."""
    return 3 if config.args == config.getini("testpaths") else 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that run alone come first: nobody has begun something long by then."""
    first = {item.path for item in items if _is_alone(item)}
    items.sort(key=lambda item: item.path not in first)


def pytest_collection_finish() -> None:
    garbage.keep()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Let a test that measures time run alone, where there are several processes."""
    if not _RUN:
        return (yield)
    with _TURNS.next(_is_alone(item), nextitem is not None and _is_alone(nextitem)):
        return (yield)


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_sessionfinish() -> None:
    end_session()
    if _RUN:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _tell_proofs(terminalreporter)
    _tell_missing(terminalreporter)


def _tell_proofs(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was tried, by whichever process."""
    proofs: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        proofs.update({name: n for name, n in report.user_properties if name in PROOFS})
    if proofs:
        terminalreporter.write_line(", ".join(f"{n:,} {name}" for name, n in proofs.items()))


def _tell_missing(terminalreporter: pytest.TerminalReporter) -> None:
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
