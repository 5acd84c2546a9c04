"""Rounds over what a beat left to others, played on a table that is a sorted list."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_jobsched import rounds as room
from celery_jobsched.rounds import Rounds, Stretch
from celery_jobsched.store.pages import Claimed, Place, Refusal, Seen

BEGIN = datetime(2030, 1, 1, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
LIMIT = 10


@dataclass
class Table:
    """Due rows in order, and one beat at work on them: odd ids are not its to fire."""

    rounds: Rounds = field(default_factory=Rounds)
    rows: list[Seen] = field(default_factory=list)
    now: datetime = BEGIN
    moment: float = 0.0
    fired: set[int] = field(default_factory=set)
    #: The rows that were read whole, one entry for each time.
    read: list[int] = field(default_factory=list)

    def add(self, id_: int, due_at: datetime, version: int = 0) -> None:
        insort(self.rows, Seen(due_at, id_, version))

    def wait(self, seconds: float) -> None:
        self.now += seconds * SECOND
        self.moment += seconds

    def is_due(self) -> bool:
        """As the poll says: whether a row lies where the beat looks."""
        after = self.rounds.looked_until if self.rounds.rest(self.moment) else BEGIN - 100 * SECOND
        return any(after < row.wake_at <= self.now for row in self.rows)

    def tick(self) -> None:
        rounds, stretch = self.rounds, Stretch()
        if rounds.are_needed and not rounds.rest(self.moment):
            place = rounds.go_on(self.moment)
            lying = [r for r in self.rows if place < (r.wake_at, r.id) and self._is_older(r)]
            stretch = rounds.pass_over(lying[: room.PASSED_AT_ONCE], LIMIT)
        rounds.note(self._claim(stretch), stretch, self.now, self.moment)

    def _is_older(self, row: Seen) -> bool:
        return row.wake_at <= self.rounds.looked_until

    def _claim(self, stretch: Stretch) -> Claimed:
        claimed = Claimed()
        newly = [r for r in self.rows if not self._is_older(r) and r.wake_at <= self.now]
        if self.rounds.are_needed:
            older = [r for r in self.rows if self._is_older(r) and r.id in stretch.ids]
            if len(newly) > LIMIT:
                claimed.leave(newly[LIMIT].wake_at, self.now)
            newly = newly[:LIMIT]
        else:
            older = [r for r in self.rows if self._is_older(r)]
        for row in [*newly, *older][: 2 * LIMIT]:
            self.read.append(row.id)
            if row.id % 2:
                claimed.refused.append(Refusal(row, "j", "it is odd"))
            else:
                self.fired.add(row.id)
                self.rows.remove(row)
        return claimed

    def work(self) -> int:
        """Tick until there is nothing to do at once; how many ticks it took."""
        for count in range(1000):
            if not self.is_due():
                return count
            self.tick()
        raise AssertionError("a busy loop")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PASSED_AT_ONCE", 7)


@pytest.mark.usefixtures("small_pages")
def test_what_lies_among_refused_rows_is_fired_at_once() -> None:
    table = Table()
    for n in range(200):
        table.add(n, BEGIN - SECOND)

    ticks = table.work()

    assert table.fired == set(range(0, 200, 2))
    assert ticks < 100
    assert len(table.read) <= 2 * 200


@pytest.mark.usefixtures("small_pages")
def test_refused_rows_are_read_once_and_then_passed_over() -> None:
    table = Table()
    for n in range(1, 200, 2):
        table.add(n, BEGIN - SECOND)
    table.work()
    first = len(table.read)

    for _ in range(20):
        table.wait(0.5)
        table.work()

    assert sorted(set(table.read)) == list(range(1, 200, 2))
    assert len(table.read) == first == 100


def test_a_beat_at_rest_has_nothing_to_do() -> None:
    table = Table()
    for n in range(1, 100, 2):
        table.add(n, BEGIN - SECOND)
    table.work()

    table.wait(0.9)

    assert not table.is_due()
    table.wait(0.2)
    assert table.is_due()
    table.work()
    assert not table.is_due()


@pytest.mark.usefixtures("small_pages")
def test_newly_due_rows_wait_for_no_round() -> None:
    table = Table()
    for n in range(1, 500, 2):
        table.add(n, BEGIN - SECOND)
    table.tick()

    table.wait(0.1)
    table.add(1000, table.now)
    table.tick()

    assert table.fired == {1000}


@pytest.mark.usefixtures("small_pages")
def test_more_newly_due_rows_than_a_page_wait_for_no_round() -> None:
    table = Table()
    for n in range(1, 100, 2):
        table.add(n, BEGIN - SECOND)
    table.work()
    table.wait(0.1)
    for n in range(1000, 1200, 2):
        table.add(n, table.now)

    ticks = table.work()

    assert table.fired == set(range(1000, 1200, 2))
    assert ticks < 60


@pytest.mark.usefixtures("small_pages")
def test_a_row_that_this_beat_put_behind_the_round_is_gone_back_for() -> None:
    table = Table()
    for n in range(1, 100, 2):
        table.add(n, BEGIN - n * SECOND)
    table.work()
    table.add(1000, BEGIN - 50 * SECOND)
    assert not table.is_due()

    table.rounds.go_back(BEGIN - 50 * SECOND)
    table.work()

    assert table.fired == {1000}


@pytest.mark.usefixtures("small_pages")
def test_a_row_that_another_beat_put_behind_the_round_is_found_by_the_next_one() -> None:
    table = Table()
    for n in range(1, 100, 2):
        table.add(n, BEGIN - n * SECOND)
    table.work()
    table.add(1000, BEGIN - 50 * SECOND)

    for n in range(12):
        table.wait(0.1)
        # Going back for others does not put the next round off.
        table.rounds.go_back(table.now - n * SECOND)
        table.work()

    assert table.fired == {1000}


def test_a_row_that_changed_is_asked_about_again() -> None:
    table = Table()
    table.add(1, BEGIN - SECOND)
    table.work()
    table.rows.clear()
    table.add(1, BEGIN - SECOND, version=1)

    table.wait(1.1)
    table.work()
    table.wait(1.1)
    table.work()

    assert table.read == [1, 1]


def test_refusals_are_forgotten_after_a_while() -> None:
    table = Table()
    table.add(1, BEGIN - SECOND)
    table.work()

    for _ in range(40):
        table.wait(1.0)
        table.work()

    assert len(table.read) == 2


def test_what_others_took_is_forgotten() -> None:
    table = Table()
    for n in range(1, 100, 2):
        table.add(n, BEGIN - SECOND)
    table.work()

    table.rows = table.rows[:3]
    table.wait(2)
    table.work()
    assert len(table.rounds._refused) == 3

    table.rows.clear()
    table.add(2, BEGIN)
    table.wait(2)
    table.work()
    assert not table.rounds.are_needed


def test_more_refusals_than_are_remembered_make_the_rests_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "_MOST_REMEMBERED", 20)
    table = Table()
    for n in range(1, 4001, 2):
        table.add(n, BEGIN - SECOND)
    table.work()

    assert len(table.rounds._refused) == 20
    table.wait(0.004 * 1980 - 0.1)
    assert not table.is_due()
    table.wait(0.2)
    assert table.is_due()


def test_a_place_comes_after_its_own_row_and_before_the_next() -> None:
    rounds = Rounds()
    rounds.note(
        Claimed(refused=[Refusal(Seen(BEGIN, 5, 0), "j", "odd")]), Stretch(), BEGIN, moment=0.0
    )

    place = rounds.go_on(0.0)
    stretch = rounds.pass_over([Seen(BEGIN, 5, 0), Seen(BEGIN, 6, 0)], 10)

    assert place == Place()
    assert (stretch.ids, stretch.passed) == ([6], [Seen(BEGIN, 5, 0)])
    assert (stretch.place, stretch.is_last) == (Place(BEGIN, 6), True)


steps = st.lists(
    st.tuples(st.sampled_from(["newly", "behind", "planned", "taken", "wait"]), st.integers(0, 30)),
    max_size=30,
)


@given(st.integers(0, 60), st.integers(1, 9), steps)
def test_whatever_happens_all_that_a_beat_may_fire_is_fired_in_the_end(
    lying: int, page: int, played: list[tuple[str, int]]
) -> None:
    table = Table()
    for n in range(lying):
        table.add(n, BEGIN - n % 5 * SECOND)
    before, room.PASSED_AT_ONCE = room.PASSED_AT_ONCE, page
    try:
        for number, (what, size) in enumerate(played, 1):
            _play(table, what, size, number)
            table.work()
        table.wait(40)
        table.work()
    finally:
        room.PASSED_AT_ONCE = before

    assert all(row.id % 2 for row in table.rows)
    assert len(table.rounds._refused) <= len(table.rows)


def _play(table: Table, what: str, size: int, number: int) -> None:
    ids = range(1000 * number, 1000 * number + size)
    if what == "wait":
        table.wait(size / 10)
    elif what == "taken":
        table.rows = [row for row in table.rows if row.id % 3]
    else:
        due_at = table.now if what == "newly" else table.now - size * SECOND
        for id_ in ids:
            table.add(id_, due_at)
        if what == "planned" and ids:
            table.rounds.go_back(due_at)
