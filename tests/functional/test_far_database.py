"""A database that is far away, or busy: each answer takes its time, and fires go out once."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.functional.test_outages import proxy_of, via
from tests.processes import wait_until
from tests.records import Records, settle, ticking
from tests.stacks import fresh_stack

COUNT = 20


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_what_is_due_is_sent_once_however_long_an_answer_takes(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        fresh_stack(kind, "filesystem", tmp_path) as stack,
        proxy_of(stack.database_url) as proxy,
        Records(stack.database_url) as records,
    ):
        stack.conf["jobsched_database_url"] = via(stack.database_url, proxy)
        with ticking(stack) as scheduler:
            settle(scheduler)
            proxy.distance = 0.08
            now = datetime.now(timezone.utc)
            for n in range(COUNT):
                records.add(f"j {n}", once=now.isoformat(), created_at=now - timedelta(minutes=1))

            def all_are_sent() -> bool:
                scheduler.tick()
                return len(records.fires(None, "sent")) == COUNT

            wait_until(all_are_sent, 40, lambda: [dict(each) for each in records.fires()])
            proxy.distance = 0.0

        fires = records.fires()

    assert [fire["publishes"] for fire in fires] == [1] * COUNT
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []
