# ruff: noqa: DTZ001 - a local time has no zone
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st
from pytz.tzinfo import DstTzInfo

from celery_jobsched import clock
from celery_jobsched.errors import InvalidJob
from tests.wall_clock import meanings

UTC = clock.UTC
ZONES = [clock.zone(name) for name in pytz.all_timezones]
BERLIN = clock.zone("Europe/Berlin")
AUCKLAND = clock.zone("Pacific/Auckland")
LORD_HOWE = clock.zone("Australia/Lord_Howe")
APIA = clock.zone("Pacific/Apia")
SAO_PAULO = clock.zone("America/Sao_Paulo")


def utc(*fields):
    return datetime(*fields, tzinfo=UTC)


NO_ZONES = [
    "", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe/Berlin\n", "Europe\0",
    "Europe/Berlín", "..", "Europe", "posixrules", 1, None, True, b"UTC", ["UTC"],
]  # fmt: skip


@pytest.mark.parametrize("name", [*NO_ZONES, pytest.param("x" * 1_000_000, id="a megabyte")])
def test_what_names_no_zone_is_refused(name):
    with pytest.raises(InvalidJob) as caught:
        clock.zone(name)

    assert caught.value.field == "timezone"
    assert caught.value.expected == "the name of a time zone, such as Europe/Berlin"


def test_a_zone_is_found_by_its_name_in_any_case():
    assert clock.zone("europe/berlin") is pytz.timezone("Europe/Berlin")
    assert clock.zone("UTC") is pytz.utc


@pytest.mark.parametrize("value", ["walk", None, 1, [], {}])
def test_an_unknown_dst_option_is_refused(value):
    with pytest.raises(InvalidJob, match="dst_gap"):
        clock.check_dst(value, "first")
    with pytest.raises(InvalidJob, match="dst_fold"):
        clock.check_dst("run", value)


MEANINGS = [
    # zone, local, gap and fold as by default, gap="skip", fold="both"
    (BERLIN, (2026, 7, 1, 12), [utc(2026, 7, 1, 10)], True, False),
    (BERLIN, (2026, 3, 29, 1, 59), [utc(2026, 3, 29, 0, 59)], True, False),
    (BERLIN, (2026, 3, 29, 2, 0), [utc(2026, 3, 29, 1)], False, False),
    (BERLIN, (2026, 3, 29, 2, 59), [utc(2026, 3, 29, 1)], False, False),
    (BERLIN, (2026, 3, 29, 3, 0), [utc(2026, 3, 29, 1)], True, False),
    (BERLIN, (2026, 10, 25, 1, 59), [utc(2026, 10, 24, 23, 59)], True, False),
    (BERLIN, (2026, 10, 25, 2, 0), [utc(2026, 10, 25, 0)], True, True),
    (BERLIN, (2026, 10, 25, 2, 59), [utc(2026, 10, 25, 0, 59)], True, True),
    (BERLIN, (2026, 10, 25, 3, 0), [utc(2026, 10, 25, 2)], True, False),
    (AUCKLAND, (2026, 9, 27, 2, 30), [utc(2026, 9, 26, 14)], False, False),
    (AUCKLAND, (2026, 4, 5, 2, 30), [utc(2026, 4, 4, 13, 30)], True, True),
    (LORD_HOWE, (2026, 10, 4, 2, 15), [utc(2026, 10, 3, 15, 30)], False, False),
    (LORD_HOWE, (2026, 10, 4, 2, 30), [utc(2026, 10, 3, 15, 30)], True, False),
    (LORD_HOWE, (2026, 4, 5, 1, 29), [utc(2026, 4, 4, 14, 29)], True, False),
    (SAO_PAULO, (2018, 11, 4, 0, 0), [utc(2018, 11, 4, 3)], False, False),
    (SAO_PAULO, (2018, 2, 17, 23, 30), [utc(2018, 2, 18, 1, 30)], True, True),
    (APIA, (2011, 12, 30, 0, 0), [utc(2011, 12, 30, 10)], False, False),
    (APIA, (2011, 12, 30, 23, 59), [utc(2011, 12, 30, 10)], False, False),
    (APIA, (2011, 12, 31, 0, 0), [utc(2011, 12, 30, 10)], True, False),
    (pytz.utc, (2026, 3, 29, 2, 30), [utc(2026, 3, 29, 2, 30)], True, False),
    (timezone.utc, (2026, 3, 29, 2, 30), [utc(2026, 3, 29, 2, 30)], True, False),
]


@pytest.mark.parametrize(("zone", "fields", "instants", "shown", "twice"), MEANINGS)
def test_a_local_time_means_the_instants_that_the_rule_says(zone, fields, instants, shown, twice):
    local = datetime(*fields)

    assert list(clock.instants_of(local, zone)) == instants
    assert list(clock.instants_of(local, zone, gap="skip")) == (instants if shown else [])
    assert len(clock.instants_of(local, zone, fold="both")) == (2 if twice else 1)


def test_half_an_hour_occurs_twice_on_lord_howe():
    both = clock.instants_of(datetime(2026, 4, 5, 1, 45), LORD_HOWE, fold="both")

    assert both == (utc(2026, 4, 4, 14, 45), utc(2026, 4, 4, 15, 15))


def test_the_ends_of_time_mean_nothing_and_raise_nothing():
    assert clock.instants_of(datetime.min, BERLIN) == ()  # noqa: DTZ901
    assert clock.instants_of(datetime.max, BERLIN) == ()  # noqa: DTZ901
    assert clock.next_instant(utc(9999, 12, 31, 23), BERLIN, lambda _: None) is None
    assert clock.previous_instant(utc(1, 1, 1), BERLIN, lambda _: None) is None


def test_a_naive_instant_and_a_zone_of_another_making_are_programming_errors():
    with pytest.raises(TypeError):
        clock.to_local(datetime(2026, 1, 1), BERLIN)
    with pytest.raises(TypeError):
        clock.to_local(utc(2026, 1, 1), NoZone())


class NoZone(timezone.utc.__class__.__base__):
    def utcoffset(self, _):
        return None


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1850, 1, 1), datetime(2060, 1, 1)),
)
def test_local_times_are_those_of_pytz(zone, moment):
    shown = pytz.utc.localize(moment).astimezone(zone)

    assert clock.to_local(moment.replace(tzinfo=UTC), zone) == shown.replace(tzinfo=None)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1850, 1, 1), datetime(2060, 1, 1)),
)
def test_the_instants_are_those_that_pytz_knows(zone, local):
    shown = clock.instants_of(local, zone, gap="skip", fold="both")

    try:
        expected = [zone.localize(local, is_dst=None)]
    except pytz.NonExistentTimeError:
        expected = []
    except pytz.AmbiguousTimeError:
        expected = [min(shown), max(shown)]
        assert min(shown) < max(shown)
    assert list(shown) == expected
    assert all(clock.to_local(instant, zone) == local for instant in shown)


@pytest.mark.parametrize("zone", ZONES[::7], ids=str)
def test_around_every_transition_the_first_instants_ascend_with_the_local_time(zone):
    changes = getattr(zone, "_utc_transition_times", [])[1:]

    for change in changes:
        local = clock.to_local(change.replace(tzinfo=UTC), zone)
        times = [local + timedelta(minutes=10 * step) for step in range(-13, 14)]
        instants = [clock.instants_of(time, zone) for time in times]

        assert all(len(each) == 1 for each in instants)
        assert all(early <= late for early, late in pairwise(instants))


class Restless(DstTzInfo):
    """Clocks that go back three hours, and one more before the first time is over."""

    zone = "Restless"
    _utc_transition_times = (
        datetime(1, 1, 1),
        datetime(2026, 1, 1, 10),
        datetime(2026, 1, 1, 11, 30),
    )
    _transition_info = tuple((timedelta(hours=n), timedelta(0), "-") for n in (6, 3, 2))


@pytest.mark.parametrize("fold", ["first", "both"])
def test_folds_within_folds_are_read_as_the_clocks_show_them(fold):
    zone = Restless()

    for minutes in range(-300, 400, 15):
        local = datetime(2026, 1, 1, 12) + timedelta(minutes=minutes)
        found = clock.instants_of(local, zone, fold=fold)

        assert list(found) == meanings(local, zone, fold=fold)
        for each in found:
            nearby = each - timedelta(hours=9), each + timedelta(hours=9)
            assert walk(local, zone, fold, *nearby) == list(found)


def walk(local, zone, fold, start, end):
    """The instants in (start, end) of the series that is *local* alone, there and back."""
    later, earlier = (
        (lambda t: local if t < local else None),
        (lambda t: local if t > local else None),
    )
    found, back = [start], [end]
    while (at := clock.next_instant(found[-1], zone, later, "run", fold)) is not None:
        found.append(at)
    while (at := clock.previous_instant(back[-1], zone, earlier, "run", fold)) is not None:
        back.append(at)
    assert back[:0:-1] == found[1:]
    return found[1:]


@pytest.mark.parametrize("zone", [BERLIN, AUCKLAND, LORD_HOWE])
def test_the_last_microsecond_before_a_gap_is_itself(zone):
    change = {
        BERLIN: (2026, 3, 29, 1),
        AUCKLAND: (2026, 9, 26, 14),
        LORD_HOWE: (2026, 10, 3, 15, 30),
    }
    last = utc(*change[zone]) - clock.TICK
    local = clock.to_local(last, zone)

    assert clock.instants_of(local, zone) == (last,)
    assert walk(local, zone, "first", last - timedelta(days=1), last + timedelta(days=1)) == [last]
