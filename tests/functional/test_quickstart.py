"""`examples/quickstart.py` as the README shows it: its jobs, an edit by SQL, and its end."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, wait_until
from tests.services import require_program

EXAMPLE = ROOT / "examples" / "quickstart.py"
README = (ROOT / "README.md").read_text()
#: The README's lines that change the pace: by the sqlite3 program, and by the example itself.
EDITS = [line for line in README.splitlines() if "SET every = '1 second'" in line]
JOBS = ("every-2-seconds", "every-minute-at", "cron-each-minute")
SECOND = timedelta(seconds=1)


class Quickstart:
    """The example as a process; its folder is where the README's commands look for it."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.output_file = home / "output"
        command = [sys.executable, str(EXAMPLE), "--folder", str(home / "quickstart-data")]
        with self.output_file.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *options],
                cwd=home,
                env={**os.environ, "TMPDIR": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Quickstart:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def output(self) -> str:
        return self.output_file.read_text()

    def wait_for(self, text: str, seconds: float = 20) -> None:
        wait_until(lambda: text in self.output(), seconds, self.output)

    def instants(self, job: str) -> list[datetime]:
        """What the lines of *job* say that they are for, in the order of the lines."""
        said = re.findall(rf"from job '{job}' fire_at=(\S+)", self.output())
        return [datetime.fromisoformat(each) for each in said]

    def steps(self, since: int) -> set[timedelta]:
        """The steps between the instants of the job that is edited, from line *since* on."""
        instants = self.instants("every-2-seconds")[since:]
        return {b - a for a, b in pairwise(instants)}

    def run(self, line: str) -> str:
        """Run a line of the README in a second terminal, and return what it wrote."""
        words = shlex.split(line)
        if words[0] == ".venv/bin/python":
            words[:2] = [sys.executable, str(ROOT / words[1])]
        done = subprocess.run(words, cwd=self.home, capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def sql(self, statement: str) -> str:
        return self.run(f".venv/bin/python examples/quickstart.py --sql {shlex.quote(statement)}")

    def end(self, signum: int) -> int:
        self.process.send_signal(signum)
        return self.process.wait(15)


@pytest.fixture(scope="module")
def running(tmp_path_factory: Any) -> Iterator[Quickstart]:
    """One run that the tests of the jobs and of the edits share; it would end by itself."""
    with Quickstart(tmp_path_factory.mktemp("quickstart"), "--seconds", "100") as quickstart:
        yield quickstart


def test_a_fire_of_each_kind_of_job_appears_soon(running: Quickstart) -> None:
    wait_until(lambda: all(running.instants(job) for job in JOBS), 20, running.output)

    declared_at = re.findall(r"hello at second (\d\d)", running.output())[0]
    assert running.instants("every-minute-at")[0].second == int(declared_at)
    assert running.instants("cron-each-minute")[0].second == 0
    assert "Traceback" not in running.output()


@pytest.mark.parametrize("line", EDITS, ids=["sqlite3", "--sql"])
def test_the_statement_of_the_readme_changes_the_pace(running: Quickstart, line: str) -> None:
    require_program(shlex.split(line)[0].replace(".venv/bin/python", sys.executable))
    wait_until(lambda: running.instants("every-2-seconds"), 20, running.output)
    running.sql("UPDATE jobsched_jobs SET every = '2 seconds' WHERE name = 'every-2-seconds'")
    wait_until(lambda: running.steps(-2) == {2 * SECOND}, 10, running.output)

    running.run(line)

    fast = len(running.instants("every-2-seconds")) + 1
    wait_until(lambda: len(running.instants("every-2-seconds")) >= fast + 2, 10, running.output)
    assert running.steps(fast) == {SECOND}


def test_the_edits_are_the_two_that_the_readme_shows() -> None:
    programs = [shlex.split(line)[0] for line in EDITS]

    assert programs == ["sqlite3", ".venv/bin/python"]


def test_a_job_of_ones_own_runs_fails_in_words_and_goes(running: Quickstart) -> None:
    running.wait_for("from job 'every-2-seconds'")
    block = README.partition("```sql")[2].partition("\n")[2].partition("```")[0]
    insert, disable, mistake, errors, history, delete = block.splitlines()

    running.sql(insert)
    running.wait_for("hello you  from job 'mine'")
    records = running.sql(history)
    running.sql(disable)
    running.sql(mistake)
    wait_until(lambda: running.sql(errors), 5, running.output)
    told = running.sql(errors)
    running.sql(delete)

    assert told.startswith("mine | cron: expected ")
    assert "'every day'" in told
    assert "mine | " in records
    assert running.sql("SELECT name FROM jobsched_jobs WHERE name = 'mine'") == ""
    assert running.process.poll() is None


def test_ctrl_c_ends_it_and_the_jobs_go_on_at_the_next_start(tmp_path: Path) -> None:
    listed = "SELECT name, created_at FROM jobsched_jobs ORDER BY name"
    with Quickstart(tmp_path) as first:
        first.wait_for("from job 'every-2-seconds'")
        ended_with = first.end(signal.SIGINT)
        made = first.sql(listed)

    with Quickstart(tmp_path, "--seconds", "0.5") as second:
        ended_by_itself_with = second.process.wait(30)

    assert (ended_with, ended_by_itself_with) == (0, 0), first.output() + second.output()
    assert "Traceback" not in second.output()
    assert made == second.sql(listed)
    assert all(job in made for job in JOBS)


def test_sigterm_ends_it(tmp_path: Path) -> None:
    with Quickstart(tmp_path) as quickstart:
        quickstart.wait_for("Three jobs run now")

        ended_with = quickstart.end(signal.SIGTERM)

    assert ended_with == 0, quickstart.output()
    assert "Traceback" not in quickstart.output()
