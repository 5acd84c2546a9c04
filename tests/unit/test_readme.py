"""README's commands, `.ci/run` and the example say the same."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))]


def test_the_second_command_is_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    said = dict(re.findall(r"^(set_up|run_tests)='(.*)'$", ci, re.MULTILINE))

    command = f"{said['set_up']} && {said['run_tests']}"

    assert command in README.splitlines()
    assert all(f'as_in_readme "${name}"' in ci.splitlines() for name in said)


def test_the_first_command_sets_up_as_the_second_and_runs_the_example() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv &&")]

    first, _ = commands

    assert first.endswith("&& .venv/bin/python examples/quickstart.py")


def test_the_statement_to_try_is_the_one_that_the_example_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "quickstart.py"))

    example["say_what_to_try"](tmp_path)

    statement = re.findall(r'"(UPDATE .*)"', capsys.readouterr().out)
    assert statement
    assert all(f'"{one}"' in README for one in statement)


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_hops_of_the_main_path_are_names_of_the_code(name: str) -> None:
    page = (ROOT / name).read_text()

    hops = re.findall(r"^ *((?:[a-z]+\.)+(?:[A-Z]\w+\.)\w+)\b", page, re.MULTILINE)

    assert hops[0] == "beat.Scheduler.tick"
    assert len(set(hops)) == 5
    assert [hop for hop in hops if not callable(resolve_name(f"celery_jobsched.{hop}"))] == []


@pytest.mark.parametrize("name", ["README.md", "examples/production/README.md", *PAGES])
def test_every_link_to_a_file_leads_somewhere(name: str) -> None:
    page = ROOT / name

    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
