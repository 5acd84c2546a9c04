"""The house's plan: a room imports only from rooms that stand before it in this list."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "celery_jobsched"
HOME = Path(__file__).resolve().parents[2] / PACKAGE

#: From the words up to the doors.
FLOORS = (
    "errors clock jumps settings events",
    "triggers triggers.at triggers.every",
    "triggers.cron.days triggers.cron.fields triggers.cron.items",
    "triggers.cron.expression triggers.cron.named triggers.cron",
    "triggers.once",
    "triggers.rrule.parts triggers.rrule.text triggers.rrule.times triggers.rrule.days",
    "triggers.rrule.cycles triggers.rrule.years triggers.rrule.numbers triggers.rrule.series",
    "triggers.rrule.instants triggers.rrule",
    "triggers.celery triggers.custom",
    "triggers.days triggers.hours triggers.calendar_text triggers.calendar triggers.during",
    "words.english words.days words.cron words.calendar words.every words.once words.rrule",
    "words.celery words",
    "fields definition when job limits preview fire overlap plan placeholders",
    "backfill freeze views filters simulation status lags rate tenure",
    "locks locks.admission locks.reports record",
    "store store.types store.engine store.databases store.settable store.planned store.tables",
    "store.schema",
    "store.migrations store.migrations.env",
    "store.migrations.versions store.migrations.versions.v0001_first",
    "store.migrations.versions.v0002_triggers store.migrations.versions.v0003_calendars",
    "store.migrations.versions.v0004_locks store.migrations.versions.v0005_slots",
    "store.migrations.versions.v0006_beats store.migrations.versions.v0007_modes",
    "store.texts store.bulk store.meta store.calendars store.jobs",
    "store.changes store.pauses store.history",
    "store.search store.standing",
    "store.deliveries store.fires store.pruning store.watching store.declared store.replan",
    "store.pages store.claims store.planning store.keywords store.afterwards store.ends",
    "store.waiting store.skips store.stops",
    "locks.redis.client locks.redis",
    "locks.database.memory locks.database.slots locks.database.admissions locks.database.reports",
    "locks.database.ledger locks.database locks.open",
    "runtime",
    "ticket worker.outcome worker.copies worker.channel worker.places worker.runs worker.request",
    "worker.discarded worker.step worker",
    "current interrupts siblings several overdue setbacks entries publish broker slots ending",
    "reports telling dispatch",
    "decisions",
    "rounds filter asking claiming shadow",
    "declare differing pruning clocks upkeep aftercare results overruns watch calendars",
    "importers importers.draft importers.beat_schedule importers.periodic_rows",
    "importers.django_celery_beat importers.sqlalchemy_celery_beat",
    "importers.redbeat_rules importers.redbeat importers.shelf importers.apscheduler",
    "importers.pykit importers.places importers.sources",
    "verbs verbs.bound verbs.edits verbs.runs verbs.stops verbs.freezes verbs.drains verbs.status",
    "verbs.facts verbs.held verbs.former verbs.of_fires verbs.of_instants verbs.explaining",
    "verbs.looks verbs.transfer verbs.imports verbs.checks verbs.declares",
    "jobs",
    "beat testing",
    "cli.saying cli.failures cli.options cli.columns cli.table cli.timetable cli.next cli.stop",
    "cli.status cli.listing cli.past cli.show cli.edits cli.runs cli.lines cli.imports cli.checks",
    "cli.freeze cli.beats cli.database",
    "cli __init__",
)
ROOMS = [room for floor in FLOORS for room in floor.split()]

#: What only some rooms may have to do with.
RESERVED = {
    "sqlalchemy": (
        "store",
        "locks.database",
        "locks.open",
        "runtime",
        "dispatch",
        "reports",
        "setbacks",
        "declare",
        "differing",
        "pruning",
        "importers.places",
        "verbs",
        "jobs",
        "beat",
        "testing",
        "cli",
    ),
    "alembic": ("store",),
    "pytz": ("clock",),
    "click": ("cli",),
    "redis": ("locks.redis",),
    "django": (),
}
_MAKES_CODE = {"eval", "exec", "compile", "__import__", "pickle", "marshal", "shelve", "dill"}
_BY_NAME = ("import_module", "symbol_by_name", "instantiate")


def test_every_file_is_a_room_of_the_list() -> None:
    assert sorted(files()) == sorted(ROOMS)


def test_a_room_imports_only_from_rooms_before_it() -> None:
    offending = [
        f"{room} imports {other}"
        for room, path in files().items()
        for other in ours(path)
        if ROOMS.index(other) >= ROOMS.index(room)
    ]

    assert offending == []


def test_foreign_libraries_are_known_to_their_own_rooms_alone() -> None:
    offending = [
        f"{room} imports {library}"
        for room, path in files().items()
        for library, allowed in RESERVED.items()
        if library in {name.partition(".")[0] for name in imported(path)}
        and not any(room == each or room.startswith(f"{each}.") for each in allowed)
    ]

    assert offending == []


def test_the_wall_clock_is_read_in_one_room_alone() -> None:
    readers = {
        room
        for room, path in files().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and _reads_the_clock(node.func)
    }

    assert readers == {"runtime"}


def test_a_beat_asks_its_runtime_how_much_time_has_passed() -> None:
    readers = {
        room
        for room, path in files().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.monotonic"
    }

    # Threads take their own time, whatever clock a test sets: a filter's, and those of databases.
    assert {room for room in readers if not room.startswith("worker.")} == {
        "asking",
        "runtime",
        "several",
        "store.engine",
    }


def test_no_text_becomes_code_and_few_rooms_import_by_name() -> None:
    calls = {
        f"{room}: {node.func.id}"
        for room, path in files().items()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    names = {f"{room}: {name}" for room, path in files().items() for name in imported(path)}

    makers = {each for each in calls | names if _MAKES_CODE & set(re.split(r"[:. ]+", each))}
    importers = {each.partition(":")[0] for each in names if each.endswith(_BY_NAME)}
    # Celery's shelf is pickled: its reader makes nothing but what it lists.
    assert makers == {"importers.shelf: pickle"}
    # Of the configuration, a command line, a task's own class, or this package: of no row.
    assert importers == {"__init__", "filter", "importers.places", "verbs.bound", "worker.request"}


def files() -> dict[str, Path]:
    """Each file of the package, by the name of its room."""
    found = {}
    for path in HOME.rglob("*.py"):
        name = ".".join(path.relative_to(HOME).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


def imported(path: Path) -> Iterator[str]:
    """The full name of all that a file imports, wherever in it; types alone are left out."""
    here = [PACKAGE, *path.relative_to(HOME).parent.parts]
    for node in _statements(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The rooms that a file imports from."""
    names = {n.removeprefix(f"{PACKAGE}.") for n in imported(path) if n.startswith(f"{PACKAGE}.")}
    return {name if name in ROOMS else name.rpartition(".")[0] or "__init__" for name in names}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _statements(child)


def _reads_the_clock(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute):
        return False
    called = ast.unparse(function)
    owner = called.split(".")[-2] if "." in called else ""
    return called == "time.time" or (
        owner in {"datetime", "date"} and function.attr in {"now", "utcnow", "today"}
    )
