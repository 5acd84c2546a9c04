"""The log of decisions: what stands in it, where it goes, and that it is in nobody's way."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from celery_jobsched import events
from celery_jobsched.errors import InvalidSetting
from celery_jobsched.fire import FireState
from celery_jobsched.settings import Settings
from celery_jobsched.store import tables
from tests.hands import START, Hands, by_hand

SECOND = timedelta(seconds=1)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def decisions(log: Path, job: str) -> list[str]:
    return [line["decision"] for line in lines(log) if line["job"] == job]


def delivered_late(hands: Hands, name: str) -> None:
    """A fire of that job lies there that a beat claimed which is gone."""
    row = hands.records.job(name)
    fire: Mapping[str, Any] = {
        "id": "01940000-0000-7000-8000-000000000001",
        "job_id": row["id"],
        "job_name": name,
        "key": "k",
        "fire_at": START,
        "due_at": START,
        "origin": "schedule",
        "state": "pending",
        "ready_at": START,
        "publishes": 0,
    }
    hands.records.run(sa.insert(tables.fires).values(fire))
    hands.beat.settle()


def test_each_decision_is_a_line_of_json(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    with by_hand("sqlite", tmp_path, jobsched_decision_log=str(log)) as hands:
        hands.add("once", once=START + SECOND)
        hands.pass_time(1)
        hands.start_sent()
        hands.end(next(iter(hands.running)))
        told = lines(log)
        (fire,) = hands.records.fires("once")

    assert [line["decision"] for line in told] == ["claimed", "sent", "started", "succeeded"]
    at = (START + SECOND).isoformat()
    assert told[0] == {
        "at": at,
        "beat": fire["beat"],
        "decision": "claimed",
        "origin": "schedule",
        "job": "once",
        "fire_id": fire["id"],
        "fire_at": at,
    }
    assert told[3]["worker"] == "hands"
    assert "result" not in told[3]


def test_what_does_not_run_is_told_of_too(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    with by_hand("sqlite", tmp_path, jobsched_decision_log=str(log)) as hands:
        hands.add("one", every="1 second", max_concurrency=1, overlap="skip")
        hands.add("queue", keyword="go", max_concurrency=1, overlap="wait")
        hands.add("late", every="1 second", misfire="skip", misfire_grace_time=1, enabled=False)
        hands.add("gone", keyword="never")
        hands.add("fails", keyword="go")
        hands.call("go")
        hands.start_sent()
        hands.end(hands.records.fires("fails")[0]["id"], FireState.FAILED)
        hands.call("go")
        hands.edit("gone", enabled=False)
        delivered_late(hands, "gone")
        hands.edit("gone", cron="61 * * * *")
        hands.edit("late", enabled=True)
        hands.clock.advance(10 * SECOND)
        hands.beat.settle()

        assert "skipped" in decisions(log, "one")
        assert decisions(log, "queue")[-1] == "waiting"
        assert "failed" in decisions(log, "fails")
        assert decisions(log, "gone") == ["cancelled", "error"]
        assert "missed" in decisions(log, "late")
        (cancelled,) = [line for line in lines(log) if line["decision"] == "cancelled"]
        assert cancelled["reason"] == "its job was paused or deleted"


def test_a_log_that_is_rotated_away_is_made_anew(tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    with by_hand("sqlite", tmp_path, jobsched_decision_log=str(log)) as hands:
        hands.add("it", keyword="go")
        hands.call("go")
        log.rename(tmp_path / "decisions.jsonl.1")
        hands.call("go")

    assert [line["decision"] for line in lines(log)] == ["sent"]


def test_standard_output_will_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with by_hand("sqlite", tmp_path, jobsched_decision_log="-") as hands:
        hands.add("it", keyword="go")
        hands.call("go")

    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["decision"] == "sent"


def test_a_log_that_cannot_be_written_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = str(tmp_path / "nowhere" / "decisions.jsonl")
    with (
        caplog.at_level(logging.ERROR),
        by_hand("sqlite", tmp_path, jobsched_decision_log=place) as hands,
    ):
        hands.add("it", keyword="go")
        hands.call("go")

        assert hands.states("it") == ["sent"]
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("no decision is logged: ")
    assert place in said


def test_without_it_nobody_listens(tmp_path: Path) -> None:
    with by_hand("sqlite", tmp_path, jobsched_decision_log=str(tmp_path / "log")):
        assert events.fire_claimed.receivers
    with by_hand("sqlite", tmp_path):
        assert not events.fire_claimed.receivers


def test_a_place_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="jobsched_decision_log: expected a path, or -"):
        Settings(decision_log="")
