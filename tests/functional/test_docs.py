"""What the documentation shows runs as it stands there.

The Python blocks of a page are one program, in the order of the page. Its SQL blocks are typed into
one database by its own client, with a planning pass after each statement; `sql sqlite` at the head
of a block says that it is for that database alone, nothing that it is for all three. A statement
with the comment `-- a mistake` is one whose row gets an `error`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from celery import Celery, current_app

from celery_jobsched import InvalidJob, Job
from celery_jobsched.store import schema, tables
from celery_jobsched.store.engine import make_engine
from tests.clients import sql_client
from tests.processes import ROOT, CeleryProcess, run_celery, wait_until
from tests.records import Records, settle, ticking
from tests.services import DATABASES, fresh_database
from tests.stacks import Stack, fresh_stack

PAGES = [
    "README.md",
    "docs/quickstart.md",
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs" / "howto").glob("*.md"))),
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs" / "reference").glob("*.md"))),
]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATEMENT = re.compile(r"\S[^;]*;[^\n]*\n")
INLINE = re.compile(r"`((?:SELECT|INSERT|UPDATE|DELETE) [^`…]+)`")
#: Its SQL makes users of the whole server: it runs in `test_grants`.
OF_USERS = "docs/howto/security.md"
UNITS = ("minute", "day", "week", "month")
#: A line that starts Celery, without its comment.
COMMAND = re.compile(r"^celery -A proj [^#\n]+", re.MULTILINE)
OTHER_NAME = ("beat", "-S", "jobsched", "--pidfile=")
CODE = re.compile(r"`([^`]+)`")


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """What stands behind the language, and the block, for each block of that language."""
    return [(rest, body) for lang, rest, body in BLOCK.findall(text_of(page)) if lang == language]


def statements(page: str, database: str) -> list[str]:
    """The SQL of a page that is for *database*, in order; what is shown within a line as well."""
    found = []
    for rest, body in blocks(page, "sql"):
        parts = STATEMENT.findall(body)
        assert "".join(parts).split() == body.split(), "each statement ends with ;"
        found += parts if not rest.strip() or database in rest.split() else []
    return found + [f"{one};\n" for one in INLINE.findall(text_of(page))]


def run_python(page: str) -> dict[str, Any]:
    """Run the Python blocks of a page; the names that they leave."""
    text, names = text_of(page), {"__name__": "page"}
    for found in BLOCK.finditer(text):
        if found[1] == "python":
            above = "\n" * text.count("\n", 0, found.start(3))
            exec(compile(above + found[3], page, "exec"), names)  # that is what is tested
    return names


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
WITH_SQL = [
    (page, kind)
    for page in PAGES
    for kind in DATABASES
    if page != OF_USERS and statements(page, kind)
]


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to run in, and the application of before as the current one afterwards."""
    monkeypatch.chdir(tmp_path)
    before = current_app._get_current_object()
    yield tmp_path
    before.set_current()


def stack_on(url: str, folder: Path, **conf: Any) -> Stack:
    """A stack of this process alone: its messages stay in its memory."""
    settings = {"jobsched_database_url": url, "broker_url": "memory://", **conf}
    return Stack("-", "memory", folder, settings)


def errors(records: Records) -> Mapping[str, str]:
    return {name: row["error"] for name, row in records.jobs().items() if row["error"]}


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs_and_its_jobs_are_planned(page: str, at_home: Path) -> None:
    names = run_python(page)

    app: Celery = names["app"]
    found = app.conf.get("jobsched_jobs") or {}
    # In one database here, whichever the page has them in.
    definitions = {n: {k: v for k, v in d.items() if k != "database"} for n, d in found.items()}
    declared = {"jobsched_jobs": definitions}
    declared["jobsched_calendars"] = app.conf.get("jobsched_calendars") or {}
    with fresh_database("sqlite", at_home) as url, Records(url) as records:
        with ticking(stack_on(url, at_home, **declared)) as scheduler:
            scheduler.tick()
        assert set(records.jobs()) >= set(definitions)
        assert errors(records) == {}
        assert all(records.job(name)["next_fire_at"] for name in definitions)
    assert [Job.from_dict(name, given).name for name, given in definitions.items()] == list(
        definitions
    )


@pytest.mark.parametrize(("page", "kind"), WITH_SQL)
def test_each_statement_of_a_page_is_understood(page: str, kind: str, tmp_path: Path) -> None:
    wanted = statements(page, kind)

    with fresh_database(kind, tmp_path) as url, Records(url) as records:
        with ticking(stack_on(url, tmp_path, timezone="Europe/Paris")) as scheduler:
            settle(scheduler)
            for statement in wanted:
                sql_client(url)(statement)
                settle(scheduler)
                assert bool(errors(records)) == ("a mistake" in statement), statement
                assert "right-now" not in statement or records.fires("right-now", "sent")
                mend(records)


def mend(records: Records) -> None:
    """Give a row that shows a mistake a schedule again."""
    for name in errors(records):
        records.edit(name, cron="* * * * *")


def test_the_project_of_the_readme_runs_by_its_own_commands(tmp_path: Path) -> None:
    shell = "".join(body for _, body in blocks("README.md", "sh"))
    beat, worker, listing, *asking = (line.split()[3:] for line in COMMAND.findall(shell))
    with fresh_stack("postgresql", "redis", tmp_path) as stack, Records(stack.database_url) as kept:
        (tmp_path / "proj.py").write_text(readme_project(stack))

        beats = [CeleryProcess(stack, *beat).start(), CeleryProcess(stack, *OTHER_NAME).start()]
        running = CeleryProcess(stack, *worker).start()
        wait_until(lambda: kept.has_tables() and len(kept.beats()) == 2, 20, beats[1].log)
        for statement in statements("README.md", "postgresql"):
            sql_client(stack.database_url)(statement)

        wait_until(lambda: "Task proj.cleanup" in running.log(), 20, running.log)
        wait_until(lambda: kept.fires("right-now", "succeeded"), 5, beats[0].log)
        table = run_celery(stack, *listing)
        answers = {each[1]: run_celery(stack, *each) for each in asking}
        assert all(each.alive() for each in (*beats, running))
    assert (table.returncode, table.stderr) == (0, "")
    # The job has not run yet, and this is not its time.
    assert {verb: answer.returncode for verb, answer in answers.items()} == {
        "explain": 3,
        "history": 3,
        "status": 0,
    }
    assert "invoices" in answers["explain"].stdout
    listed = {line.split()[1]: line.split()[0] for line in table.stdout.splitlines()[1:]}
    assert listed.pop("right-now", "done") == "done"
    assert listed == {
        "hourly-rates": "ok",
        "nightly-report": "ok",
        "invoices": "ok",
        "weekly-cleanup": "ok",
        "celery.backend_cleanup": "ok",
    }


def readme_project(stack: Stack) -> str:
    """The README's `proj.py`, where only the two addresses are the stack's."""
    ((_, code),) = blocks("README.md", "python")
    for shown, here in (
        ("redis://localhost/0", stack.broker_url),
        ("postgresql+psycopg://localhost/proj", stack.database_url),
    ):
        assert code.count(f'"{shown}"') == 1
        code = code.replace(shown, here)
    return code


def test_alembic_leaves_our_tables_alone_as_the_page_has_it(at_home: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    names = run_python("docs/howto/migrate.md")
    engine = make_engine("sqlite:///celery-jobsched.db", 5)
    schema.prepare(engine, may_change=True)

    with engine.connect() as conn:
        assert "jobsched_jobs" in sa.inspect(conn).get_table_names()
        options = {"include_name": names["include_name"]}
        theirs = MigrationContext.configure(conn, opts=options)
        assert compare_metadata(theirs, sa.MetaData()) == []
    engine.dispose()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is_in(page: str) -> None:
    languages = {found[1] for found in BLOCK.finditer(text_of(page))}

    assert text_of(page).count("\n```") % 2 == 0
    assert languages <= {"python", "sql", "sh"}


def test_every_column_is_on_the_page_of_columns() -> None:
    page = text_of("docs/reference/columns.md")

    named = set(re.findall(r"`(\w+)`", page))

    assert [column.name for column in tables.jobs.c if column.name not in named] == []


def test_the_examples_on_the_page_of_columns_can_be_read() -> None:
    page = text_of("docs/reference/columns.md")
    rows = dict(re.findall(r"^\| `(every|at)` \|(.*)", page, re.MULTILINE))

    every = [{"every": code} for code in CODE.findall(rows["every"]) if code[0].isdigit()]
    at = [code for code in CODE.findall(rows["at"]) if ":" in code]

    assert (len(every), len(at)) == (2, 4)
    assert all(is_read(definition) for definition in every)
    assert all(any(is_read({"every": unit, "at": code}) for unit in UNITS) for code in at)


def is_read(definition: dict[str, str]) -> bool:
    try:
        return bool(Job.from_dict("-", {"task": "-", **definition}))
    except InvalidJob:
        return False
