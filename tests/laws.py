"""What holds of every trigger, whatever it is, and how much work a question may be."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import celery_jobsched
from celery_jobsched.clock import TICK
from celery_jobsched.triggers import Trigger

PACKAGE = str(Path(celery_jobsched.__file__).parent)
#: A week of the monotony test: more than any change of a clock.
_WEEK = timedelta(days=7)


def check_laws(trigger: Trigger, instant: datetime, walk: int = 5) -> None:
    """Assert what holds of every trigger, around *instant*.

    The next is strictly later, the previous strictly earlier, and both are aware UTC. Nothing lies
    between them and the question. Who walks from an earlier instant passes the same ones, and who
    walks back passes them in the other order. A later question has no earlier answer.
    """
    behind = _walked(trigger.previous_before, instant + TICK, walk)[::-1]
    ahead = _walked(trigger.next_after, instant, walk)
    both = behind + ahead

    assert all(each.utcoffset() == timedelta(0) for each in both)
    assert all(each <= instant for each in behind)
    assert all(each > instant for each in ahead)
    assert both == sorted(set(both))
    if both:
        assert _walked(trigger.next_after, both[0] - TICK, len(both)) == both
        assert _walked(trigger.previous_before, both[-1] + TICK, len(both)) == both[::-1]
    for each in ahead[:1]:
        before = trigger.previous_before(each)
        assert before == (behind[-1] if behind else None)
    after_a_week = trigger.next_after(instant + _WEEK)
    assert after_a_week is None or after_a_week >= ahead[0]


def _walked(
    step: Callable[[datetime], datetime | None], instant: datetime, count: int
) -> list[datetime]:
    found: list[datetime] = []
    at: datetime | None = instant
    while len(found) < count and at is not None and (at := step(at)) is not None:
        found.append(at)
    return found


def lines_run(question: Callable[..., Any], *arguments: Any) -> int:
    """How many lines of the package are run to answer *question*: its work, on any machine."""
    count = 0

    def counted(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return counted

    def entered(frame: FrameType, event: str, _: Any) -> Any:
        return counted if frame.f_code.co_filename.startswith(PACKAGE) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        question(*arguments)
    finally:
        sys.settrace(before)
    return count
