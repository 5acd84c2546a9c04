"""Each verb in Python and by the command, on each database, beside a beat that runs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.pace import paced
from tests.persons import Person, runs
from tests.processes import Beat, wait_until
from tests.stacks import PAIRS, fresh_stack

HOUR = timedelta(hours=1)
HEEDED_S = 0.5
#: With nothing to tell, these say nothing.
_SILENT = {"check", "diff"}


class Python:
    """The façade."""

    def __init__(self, person: Person) -> None:
        self.jobs = person.jobs

    def add(self, name: str, **columns: str) -> None:
        self.jobs.add(name, task="proj.note", **columns)

    def set(self, name: str, **columns: str) -> None:
        self.jobs.modify(name, **columns)

    def load(self, line: Mapping[str, Any]) -> None:
        self.jobs.load([line])

    def export(self, name: str) -> Mapping[str, Any]:
        (line,) = self.jobs.export(f"name:{name}")
        return line

    def run(self, name: str) -> str:
        return self.jobs.run(name)

    def fire(self, keyword: str) -> list[str]:
        return self.jobs.fire(keyword)

    def backfill(self, name: str, start: datetime, end: datetime) -> list[str]:
        return list(self.jobs.backfill(name, start, end).ids)

    def pause(self, name: str) -> None:
        self.jobs.pause(name, note="a look")

    def resume(self, name: str) -> None:
        self.jobs.resume(name)

    def stop(self, name: str) -> None:
        self.jobs.stop(name)

    def freeze(self) -> None:
        self.jobs.freeze("a move")

    def thaw(self) -> None:
        self.jobs.thaw()

    def remove(self, name: str) -> None:
        self.jobs.remove(name)

    def look(self, name: str) -> None:
        jobs, now = self.jobs, datetime.now(timezone.utc)
        assert name in jobs
        assert [view.name for view in jobs.find(f"name:{name}")] == [name]
        assert jobs.view(name).name == jobs.get(name).name == name
        assert jobs.upcoming(name, 2)
        assert jobs.history(name)
        assert str(jobs.explain(name))
        assert jobs.changes(name)
        assert jobs.simulate(now, now + HOUR)
        assert jobs.status().beats
        assert jobs.beats()


class Command(Python):
    """`celery -A proj jobs …`."""

    def __init__(self, person: Person) -> None:
        self._run = runs(person)

    def add(self, name: str, **columns: str) -> None:
        self._do("add", name, "task=proj.note", *_said(columns))

    def set(self, name: str, **columns: str) -> None:
        self._do("set", name, *_said(columns))

    def load(self, line: Mapping[str, Any]) -> None:
        self._do("load", "-", text=json.dumps(line))

    def export(self, name: str) -> Mapping[str, Any]:
        line: Mapping[str, Any] = json.loads(self._do("export", f"name:{name}"))
        return line

    def run(self, name: str) -> str:
        return self._do("run", name).strip()

    def fire(self, keyword: str) -> list[str]:
        return self._do("fire", keyword).split()

    def backfill(self, name: str, start: datetime, end: datetime) -> list[str]:
        span = ("--from", start.isoformat(), "--until", end.isoformat())
        told = self._do("backfill", name, *span, "--yes")
        return [word for word in told.split() if word.count("-") == 4]

    def pause(self, name: str) -> None:
        self._do("pause", name, "--note", "a look")

    def resume(self, name: str) -> None:
        self._do("resume", name)

    def stop(self, name: str) -> None:
        self._do("stop", name)

    def freeze(self) -> None:
        self._do("freeze", "--note", "a move", "--yes")

    def thaw(self) -> None:
        self._do("thaw")

    def remove(self, name: str) -> None:
        self._do("remove", name, "--yes")

    def look(self, name: str) -> None:
        for words in (
            ("list",),
            ("show", name),
            ("next", name),
            ("history", name),
            ("explain", name),
            ("changes", name),
            ("check", f"name:{name}"),
            ("simulate",),
            ("status",),
            ("beats",),
            ("diff",),
            ("db", "current"),
        ):
            # 3: an answer that is no; the fire that is explained has not run, for one.
            self._do(*words, codes={0, 3})

    def _do(self, *words: str, text: str | None = None, codes: Collection[int] = (0,)) -> str:
        done = self._run(*words, text=text)
        assert done.exit_code in codes, (words, done.output, done.exception)
        assert done.stdout or words[0] in _SILENT, words
        return done.stdout


def _said(columns: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in columns.items()]


@dataclass
class House:
    """A beat that runs, and a person at its tables."""

    beat: Beat
    person: Person

    def heeds(self, condition: Callable[[], object]) -> None:
        """The beat makes *condition* true within half a second from now."""
        begun = time.monotonic()
        wait_until(condition, 10, self.beat.log)
        assert time.monotonic() - begun < paced(HEEDED_S)

    def is_planned(self, name: str, text: str) -> Callable[[], bool]:
        """Whether the beat has read a row in which there is *text*, as it is now."""

        def planned() -> bool:
            row = self.person.records.job(name)
            return row["error"] is None and text in (row["planned"] or "")

        return planned

    def are_sent(self, name: str, ids: list[str]) -> Callable[[], bool]:
        def sent() -> bool:
            return {*ids} <= {row["id"] for row in self.person.records.fires(name, "sent")}

        return sent


@contextmanager
def house(pair: tuple[str, str], folder: Path) -> Iterator[House]:
    with fresh_stack(*pair, folder) as stack, Beat(stack) as beat:
        person = Person(stack.database_url, stack.folder, **stack.conf)
        wait_until(lambda: person.records.beats(), 20, beat.log)
        yield House(beat, person)
        person.close()


@pytest.mark.parametrize("door", [Python, Command])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_beat_heeds_each_verb_within_half_a_second(
    pair: tuple[str, str], door: type[Python], tmp_path: Path
) -> None:
    with house(pair, tmp_path) as at:
        do, records = door(at.person), at.person.records
        this_hour = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0)

        do.add("hourly", cron="0 * * * *")
        at.heeds(at.is_planned("hourly", "cron=0 * * * *\n"))
        do.set("hourly", misfire="skip")
        at.heeds(at.is_planned("hourly", "misfire=skip\n"))
        do.load({**do.export("hourly"), "name": "loaded", "keyword": "go"})
        at.heeds(at.is_planned("loaded", "keyword=go\n"))
        at.heeds(at.are_sent("hourly", [do.run("hourly")]))
        at.heeds(at.are_sent("loaded", do.fire("go")))
        filled = do.backfill("hourly", this_hour - 2 * HOUR, this_hour - HOUR)
        at.heeds(at.are_sent("hourly", filled))
        (enabled,) = re.findall("^enabled=.*$", records.job("hourly")["planned"], re.MULTILINE)
        do.pause("hourly")
        at.heeds(lambda: enabled not in records.job("hourly")["planned"])
        do.resume("hourly")
        at.heeds(at.is_planned("hourly", enabled))
        do.freeze()
        at.heeds(lambda: "a move" in at.beat.log())
        do.thaw()
        at.heeds(lambda: "schedules fire again" in at.beat.log())
        do.look("hourly")
        do.stop("hourly")
        do.remove("hourly")

        assert len(filled) == 2
        assert records.jobs().keys() - {"celery.backend_cleanup"} == {"loaded"}
        assert "ERROR" not in at.beat.log()
