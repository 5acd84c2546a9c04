"""What watches Celery's beat sees our fires too: Sentry, OpenTelemetry, signals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import sqlalchemy as sa
from celery.signals import after_task_publish, before_task_publish
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.transport import Transport

from celery_jobsched import Scheduler, events
from celery_jobsched.store import tables
from tests.collector import Collector, Message
from tests.records import Records, settle, ticking
from tests.stacks import Stack, fresh_stack

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with fresh_stack("sqlite", "redis", tmp_path, timezone="Asia/Tokyo") as stack:
        yield stack


@pytest.fixture
def records(stack: Stack) -> Iterator[Records]:
    with Records(stack.database_url) as records:
        yield records


@pytest.fixture
def check_ins() -> Iterator[list[dict[str, Any]]]:
    """The check-ins that the real sentry-sdk of this process would send."""
    found: list[dict[str, Any]] = []

    class Memory(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            found.extend(item.payload.json for item in envelope.items if item.type == "check_in")

    sentry_sdk.init(
        dsn="https://key@sentry.invalid/1",
        transport=Memory,
        integrations=[CeleryIntegration(monitor_beat_tasks=True)],
        default_integrations=False,
    )
    yield found
    sentry_sdk.get_client().close()
    sentry_sdk.init()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    CeleryInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    CeleryInstrumentor().uninstrument()


@contextmanager
def planned(stack: Stack, records: Records, **jobs: dict[str, Any]) -> Iterator[Scheduler]:
    """A scheduler and jobs, all of them due."""
    with ticking(stack) as scheduler:
        settle(scheduler)
        for name, columns in jobs.items():
            records.add(name, **columns)
        scheduler.tick()  # plans them
        now = datetime.now(timezone.utc).replace(microsecond=0)
        for name in jobs:
            records.edit(name, next_fire_at=now, due_at=now)
        yield scheduler


def fire_all(stack: Stack, scheduler: Scheduler, count: int) -> dict[str, Message]:
    """What reaches the broker when all that is due fires, by job."""
    with Collector(stack) as collector:
        settle(scheduler)
        return {str(message.job): message for message in collector.wait_for(count, 5)}


def test_sentry_checks_in_each_fire_whose_schedule_it_can_watch(
    stack: Stack, records: Records, check_ins: list[dict[str, Any]]
) -> None:
    # Where a schedule of Sentry's would not say the truth, a false alarm is worse than none.
    watched = {
        "cron": {"cron": "30 7 * * mon-fri", "timezone": "Europe/Paris"},
        "daily": {"every": "1 day", "at": "09:15"},
        "interval": {"every": "90 minutes"},
        "celery": {"celery": "crontab 0 3 1 * *"},
    }
    unwatched = {
        "once": {"once": "2040-01-01"},
        "jittered": {"cron": "0 * * * *", "jitter": 0.001},
        "bounded": {"cron": "0 * * * *", "max_fires": 3},
        "seconds": {"every": "10 seconds"},
        "both": {"cron": "0 * * * *", "every": "1 day"},
        "either day": {"cron": "0 0 1 * mon"},
        "last friday": {"cron": "0 0 * * friL"},
    }

    with planned(stack, records, **watched, **unwatched) as scheduler:
        messages = fire_all(stack, scheduler, len(watched) + len(unwatched))

    found = {
        each["monitor_slug"]: (
            each["monitor_config"]["schedule"]["type"],
            each["monitor_config"]["schedule"]["value"],
            each["monitor_config"]["timezone"],
        )
        for each in check_ins
    }
    assert found == {
        "cron": ("crontab", "30 7 * * mon-fri", "Europe/Paris"),
        "daily": ("crontab", "15 9 * * *", "Asia/Tokyo"),
        "interval": ("interval", 90, "Asia/Tokyo"),
        "celery": ("crontab", "0 3 1 * *", "Asia/Tokyo"),
    }
    assert {each["status"] for each in check_ins} == {"in_progress"}
    assert len(check_ins) == len(watched)
    slugs = {name: message.headers.get("sentry-monitor-slug") for name, message in messages.items()}
    assert slugs == {**{name: name for name in watched}, **dict.fromkeys(unwatched)}


def test_a_fire_that_is_taken_over_makes_no_second_check_in(
    stack: Stack, records: Records, check_ins: list[dict[str, Any]]
) -> None:
    with planned(stack, records, hourly={"cron": "0 * * * *"}) as scheduler:
        first = fire_all(stack, scheduler, 1)["hourly"]
        a_minute_ago = datetime.now(timezone.utc) - MINUTE
        records.run(
            sa.update(tables.fires).values(state="pending", ready_at=a_minute_ago, sent_at=None)
        )

        second = fire_all(stack, scheduler, 1)["hourly"]

    assert second.id == first.id
    assert (first.fire["n"], second.fire["n"]) == (1, 2)
    assert first.fire["token"] != second.fire["token"]
    assert [each["monitor_slug"] for each in check_ins] == ["hourly"]
    assert [row["state"] for row in records.fires("hourly")] == ["sent"]


def test_opentelemetry_sees_a_producer_span_for_each_fire(
    stack: Stack, records: Records, spans: InMemorySpanExporter
) -> None:
    jobs = {f"job {n}": {"every": "1 hour"} for n in range(3)}

    with planned(stack, records, **jobs) as scheduler:
        messages = fire_all(stack, scheduler, len(jobs))

    finished: tuple[ReadableSpan, ...] = spans.get_finished_spans()
    assert [(span.name, span.kind) for span in finished] == [
        ("apply_async/proj.note", SpanKind.PRODUCER)
    ] * len(jobs)
    traces = {f"{span.context.trace_id:032x}" for span in finished if span.context}
    carried = {message.headers["traceparent"].split("-")[1] for message in messages.values()}
    assert carried == traces
    assert len(traces) == len(jobs)


def test_celerys_publish_signals_see_each_fire(stack: Stack, records: Records) -> None:
    seen: list[tuple[str, str]] = []

    def before(headers: dict[str, Any], **_: Any) -> None:
        seen.append(("before", headers["id"]))

    def after(headers: dict[str, Any], **_: Any) -> None:
        seen.append(("after", headers["id"]))

    before_task_publish.connect(before)
    after_task_publish.connect(after)
    jobs = {f"job {n}": {"every": "1 hour"} for n in range(3)}
    try:
        with planned(stack, records, **jobs) as scheduler:
            messages = fire_all(stack, scheduler, len(jobs))
    finally:
        before_task_publish.disconnect(before)
        after_task_publish.disconnect(after)

    ids = [message.id for message in messages.values()]
    assert sorted(seen) == sorted((when, id_) for id_ in ids for when in ("before", "after"))


def test_the_message_tells_the_task_which_fire_it_is(stack: Stack, records: Records) -> None:
    headers = '{"headers": {"mine": 1}, "priority": 3}'
    with planned(stack, records, report={"every": "1 hour", "options": headers}) as scheduler:
        message = fire_all(stack, scheduler, 1)["report"]

    (row,) = records.fires("report")
    assert message.id == row["id"]
    assert message.headers["mine"] == 1
    assert message.headers["periodic_task_name"] == "report"
    assert message.headers["celery_beat_task"] is True
    assert message.properties["priority"] == 3
    assert datetime.fromisoformat(message.fire_at or "") == row["fire_at"]
    assert (message.fire["origin"], message.fire["n"]) == ("schedule", 1)


def test_our_own_signals_tell_what_was_sent_missed_failed_and_refused(
    stack: Stack, records: Records
) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    signals = (events.fire_sent, events.fire_missed, events.fire_failed, events.job_error)

    def note(signal: Any, sender: Any, **told: Any) -> None:
        seen.append((signal.name, told))

    for signal in signals:
        signal.connect(note)
    stack.conf["jobsched_allowed_tasks"] = ["proj.*"]
    long_ago = datetime.now(timezone.utc).replace(microsecond=0) - 25 * MINUTE
    try:
        jobs = {"good": {"every": "1 hour"}, "foreign": {"every": "1 hour", "task": "os.system"}}
        with planned(stack, records, **jobs) as scheduler:
            records.add("late", every="10 minutes", misfire="skip", created_at=long_ago)
            records.add("broken", cron="never")
            fire_all(stack, scheduler, 1)
    finally:
        for signal in signals:
            signal.disconnect(note)

    told = dict(seen)
    assert sorted(name for name, _ in seen) == sorted(signal.name for signal in signals)
    (sent,), (failed,) = records.fires("good"), records.fires("foreign")
    assert told["fire_sent"] == {
        "job": "good", "fire_id": sent["id"], "fire_at": sent["fire_at"], "origin": "schedule",
    }  # fmt: skip
    assert told["fire_missed"] == {
        "job": "late", "fire_at": long_ago, "until_at": long_ago + 20 * MINUTE, "count": 3,
    }  # fmt: skip
    assert (told["fire_failed"]["job"], told["fire_failed"]["fire_id"]) == ("foreign", failed["id"])
    assert "jobsched_allowed_tasks" in told["fire_failed"]["error"]
    assert (failed["state"], failed["error"]) == ("failed", told["fire_failed"]["error"])
    assert told["job_error"]["job"] == "broken"
    assert str(told["job_error"]["error"]).startswith("cron: expected")
