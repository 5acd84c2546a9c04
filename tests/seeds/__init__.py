"""The cases of five older schedulers, as two answers in words: theirs, and ours, found by asking.

``tests/data/seed_examples.json`` holds the cases: what was given, and what that scheduler did. An
asker yields their answer, then ours; what it raises is ours, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from celery_jobsched.errors import InvalidJob, NextFireTimeError
from tests.seeds import akjob, apscheduler, pykit
from tests.seeds.asking import Case


def cases() -> list[Case]:
    path = Path(__file__).parents[1] / "data" / "seed_examples.json"
    return list(json.loads(path.read_text()))


def answers(case: Case, url: str) -> tuple[str, str]:
    """What that scheduler answered, and what we do; *url* is an empty database."""
    asked = _ASKERS[case["kind"]](case["given"], case["expect"], url)
    theirs = next(asked)
    try:
        return theirs, next(asked)
    except NextFireTimeError:
        return theirs, "NextFireTimeError"
    except InvalidJob as error:
        return theirs, "refused" if theirs == "refused" else f"refused: {error.field}"


def _http(given: Case, expected: Case, _: str) -> Iterator[str]:
    yield f"HTTP {expected['status']}"
    yield "?" if find_spec("celery_jobsched.web") else "no HTTP"


_ASKERS = {**pykit.ASKERS, **apscheduler.ASKERS, **akjob.ASKERS, "http": _http}
