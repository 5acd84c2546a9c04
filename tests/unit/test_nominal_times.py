# ruff: noqa: DTZ001 - a local time has no zone
"""From an instant back to the local times that it stands for, and what no instant stands for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_jobsched import Job, clock, jumps

UTC = clock.UTC
STEP = timedelta(minutes=10)
#: Years of changes that a table of pytz's knows, in any zone.
CHANGES = [
    (clock.zone(name), change)
    for name in pytz.all_timezones
    for change in getattr(clock.zone(name), "_utc_transition_times", [])[1:]
    if change.year > 1950
]


def every_ten_minutes(local: datetime) -> datetime:
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((local - midnight) // STEP + 1) * STEP


@given(
    st.sampled_from(CHANGES), st.sampled_from(["run", "skip"]), st.sampled_from(["first", "both"])
)
@settings(max_examples=200, deadline=None)
def test_around_any_change_each_instant_knows_just_the_local_times_that_mean_it(change, gap, fold):
    zone, moment = change[0], change[1].replace(tzinfo=UTC)
    times = clock.LocalTimes(zone, every_ten_minutes, gap, fold)
    local = clock.to_local(moment, zone) - timedelta(hours=26)

    meaning: dict[datetime, list[datetime]] = {}
    missing = []
    for _ in range(6 * 52):
        local = every_ten_minutes(local)
        for instant in clock.instants_of(local, zone, gap, fold):
            meaning.setdefault(instant, []).append(local)
        if not clock.instants_of(local, zone, "skip", "both"):
            missing.append(local)

    assert {each: list(clock.nominal_times(each, times)) for each in meaning} == meaning
    found = list(jumps.left_out(moment - clock.TICK, moment, times))
    assert [at for at, _ in found] == [each for each in missing if is_of(each, moment, zone)]
    assert {jump for _, jump in found} <= {moment}


def is_of(local: datetime, moment: datetime, zone: pytz.BaseTzInfo) -> bool:
    """Whether it is this change that leaves the local time out: others may be near."""
    return clock.instants_of(local, zone) == (moment,)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ((2027, 3, 28, 0, 30), []),  # 01:30 is none of the series
        ((2027, 3, 28, 1), [(2027, 3, 28, 2, 30)]),
        ((2027, 3, 29, 0, 30), [(2027, 3, 29, 2, 30)]),
        ((2027, 10, 31, 0, 30), [(2027, 10, 31, 2, 30)]),
        ((2027, 10, 31, 1, 30), []),  # the second 02:30
    ],
)
def test_an_instant_that_no_time_of_the_series_means_stands_for_none(instant, expected):
    berlin = clock.zone("Europe/Berlin")

    def half_past_two(local: datetime) -> datetime:
        today = local.replace(hour=2, minute=30, second=0, microsecond=0)
        return today if today > local else today + timedelta(days=1)

    found = clock.nominal_times(
        datetime(*instant, tzinfo=UTC), clock.LocalTimes(berlin, half_past_two)
    )

    assert list(found) == [datetime(*each) for each in expected]


def test_a_jump_has_what_the_clocks_show_before_and_after_it():
    berlin = clock.zone("Europe/Berlin")

    spring = jumps.jump_at(datetime(2027, 3, 28, 1, tzinfo=UTC), berlin)
    autumn = jumps.jump_at(datetime(2027, 10, 31, 1, tzinfo=UTC), berlin)

    assert spring == (datetime(2027, 3, 28, 2), datetime(2027, 3, 28, 3))
    assert autumn == (datetime(2027, 10, 31, 3), datetime(2027, 10, 31, 2))
    assert jumps.jump_at(datetime(2027, 3, 28, 2, tzinfo=UTC), berlin) is None
    assert jumps.jump_at(datetime(2027, 3, 28, 1, tzinfo=UTC), pytz.utc) is None


@pytest.mark.parametrize(
    ("offset", "text"),
    [
        (timedelta(0), "+00"),
        (timedelta(hours=1), "+01"),
        (timedelta(hours=10, minutes=30), "+10:30"),
        (timedelta(hours=-3, minutes=-30), "-03:30"),
        (-timedelta(minutes=44, seconds=30), "-00:44:30"),
    ],
)
def test_an_offset_is_written_as_short_as_it_is_exact(offset, text):
    assert jumps.offset_text(offset) == text


SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("definition", "nominal"),
    [
        ({"every": "1 day", "at": "02:30"}, (2, 30)),
        ({"cron": "20,40 2 * * *"}, (2, 20)),
        ({"cron": "0 2,3 * * *"}, (2, 0)),
        ({"cron": "45 2 * * *", "every": "1 day", "at": "02:15"}, (2, 15)),
        ({"cron": "0 * * * *"}, (3, 0)),
        ({"cron": "30 2 * * *", "dst_gap": "skip"}, (3, 0)),
        ({"every": "1 hour"}, (3, 0)),
        ({"once": "2027-03-28T01:00:00Z"}, (3, 0)),
        ({"celery": "crontab 30 2 * * *"}, (2, 30)),
    ],
)
def test_a_job_knows_the_local_time_that_a_fire_of_its_stands_for(definition, nominal):
    job = Job.from_dict("-", {"task": "-", "timezone": "Europe/Berlin", **definition})

    assert job.nominal(SPRING) == datetime(2027, 3, 28, *nominal)
