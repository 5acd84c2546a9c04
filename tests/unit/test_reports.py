"""The contract of reports, for every backend."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from celery_jobsched.fire import FireState
from celery_jobsched.locks import LONGEST_TEXT, Locks, Report
from celery_jobsched.locks.reports import from_text, to_text
from tests.locks import Place, report
from tests.processes import wait_until

FULL = Report(
    fire="1",
    state=FireState.FAILED,
    at=datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc),
    started_at=datetime(2030, 1, 1, 11, tzinfo=timezone.utc),
    token="T",
    retries=3,
    worker="celery@höst",
    result="0",
    error='it\'s "quoted" \\ 50 %\nand 🦊',
)


def fires(locks: Locks, limit: int = 100) -> list[str]:
    return [each.report.fire for each in locks.reports(limit) if each.report]


def test_reports_come_back_as_they_were_in_their_order(locks: Locks) -> None:
    bare = Report("2", FireState.STARTED, FULL.at)

    locks.report([FULL, bare])
    locks.report([report("3")])

    assert [each.report for each in locks.reports(2)] == [FULL, bare]
    assert fires(locks) == ["1", "2", "3"]


def test_reports_stay_until_they_are_acknowledged(locks: Locks) -> None:
    locks.report([report("1"), report("2")])
    first, second = locks.reports(10)

    locks.acknowledge([first.id])

    assert fires(locks) == ["2"]
    locks.acknowledge([second.id, first.id])
    assert locks.reports(10) == []


def test_what_one_reader_has_in_hand_another_one_does_not_get(place: Place, locks: Locks) -> None:
    other = place.open()
    locks.report([report(str(n)) for n in range(3)])

    taken = locks.reports(2)

    assert fires(other) == []
    locks.acknowledge([each.id for each in taken])
    assert fires(other) == ["2"]


def test_what_a_dead_reader_had_in_hand_another_one_gets_after_a_while(
    place: Place, locks: Locks
) -> None:
    dying = place.open(reading_time=timedelta(milliseconds=50))
    locks.report([report("1")])

    dying.reports(10)

    assert wait_until(lambda: fires(locks), 5) == ["1"]


def test_a_reader_that_finds_nothing_keeps_nobody_away(place: Place, locks: Locks) -> None:
    locks.reports(10)
    locks.report([report("1")])

    assert fires(place.open()) == ["1"]


def test_what_nobody_reads_is_bounded_and_what_is_dropped_is_counted(
    place: Place, locks: Locks
) -> None:
    short = place.open(most_reports=5)

    short.report([report(str(n)) for n in range(4)])
    short.report([report(str(n)) for n in range(4, 8)])

    memory = locks.open()
    assert fires(locks) == ["3", "4", "5", "6", "7"]
    assert (memory.reports, memory.dropped) == (5, 3)


def test_acknowledged_reports_do_not_count(place: Place, locks: Locks) -> None:
    short = place.open(most_reports=5)
    for _ in range(4):
        short.report([report(str(n)) for n in range(4)])
        short.acknowledge([each.id for each in short.reports(10)])

    memory = locks.open()

    assert (memory.reports, memory.dropped) == (0, 0)


def test_thousands_are_acknowledged_at_once(locks: Locks) -> None:
    locks.report([report(str(n)) for n in range(2500)])

    locks.acknowledge([each.id for each in locks.reports(5000)])

    assert locks.open().reports == 0


def test_a_text_of_any_length_is_cut(locks: Locks) -> None:
    locks.report([report("1", result="x" * 100_000, error="\x00" * 3000)])

    ((_, found),) = locks.reports(1)

    assert found is not None
    assert found.result == "x" * LONGEST_TEXT
    assert found.error == "\ufffd" * LONGEST_TEXT


def test_what_another_release_says_is_left_to_it_and_can_be_acknowledged() -> None:
    text = to_text(FULL)

    assert from_text(text) == FULL
    assert from_text(text.replace('"failed"', '"dreaming"')) is None
    assert from_text("[]") is None
    assert from_text("{") is None
    assert from_text(100_000 * "[") is None
