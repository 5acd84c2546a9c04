"""Whatever is asked of them, in whatever order: all backends answer, and remember, the same.

JOBSCHED_TEST_LOCKS_EXAMPLES=2000 looks at more than CI does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celery_jobsched.fire import FireState
from celery_jobsched.limits import Limit
from celery_jobsched.locks import Copy, Hold, Locks, Step
from tests.locks import AT_ONCE, HOUR, LONG_AGO, NOW, PLACES, Place, fresh_place, report

EXAMPLES = int(os.environ.get("JOBSCHED_TEST_LOCKS_EXAMPLES", "30"))
FIRES, KEYS = ("1", "2", "3"), ("a", "b")

limits = st.lists(st.builds(Limit, st.sampled_from(KEYS), st.integers(1, 2)), max_size=2).map(tuple)
fires, leases = st.sampled_from(FIRES), st.sampled_from((HOUR, HOUR, AT_ONCE))
holds = st.builds(Hold, fires, limits, leases)
copies = st.builds(
    Copy,
    fires,
    limits,
    leases,
    token=st.sampled_from("TU"),
    number=st.integers(1, 2),
    retries=st.integers(0, 1),
    made_at=st.sampled_from((LONG_AGO, NOW + HOUR)),
    published_at=st.sampled_from((NOW, NOW, NOW, LONG_AGO)),
    worker=st.sampled_from(("w1", "w2")),
    accepted=st.booleans(),
)
reports = st.sampled_from((None, report("1"), report("2", FireState.STARTED)))
steps = st.builds(Step, copies, reports)


def calls(verb: str, of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(verb), st.lists(of, min_size=1, max_size=most))


admits = st.tuples(st.just("admit"), copies)
asked = st.lists(
    st.one_of(
        calls("acquire", holds),
        calls("renew", st.one_of(holds, copies)),
        calls("release", holds),
        admits,
        admits,
        calls("accept", steps, 2),
        calls("give_back", copies, 1),
        calls("end", steps, 1),
        calls("withdraw", steps, 1),
    ),
    min_size=4,
    max_size=12,
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(fresh_place(kind, tmp_path_factory.mktemp(kind))) for kind in PLACES
        ]


def played(place: Place, script: list[tuple[str, Any]], is_silent: bool) -> list[Any]:
    """All answers to *script*, and what is known after it."""
    place.lose()
    locks = place.open(renewal_period=HOUR)
    locks.open(first=not is_silent)
    answers = [getattr(locks, verb)(about) for verb, about in script]
    return [*answers, *known(locks)]


def known(locks: Locks) -> Iterator[Any]:
    yield {key: sorted(h.fire for h in held) for key, held in locks.holders(KEYS).items()}
    yield locks.free([Limit(key, 2) for key in KEYS])
    for fire, it in sorted(locks.admissions(FIRES).items()):
        yield fire, it.state, it.token, it.number, it.retries, it.worker, it.alive, it.redelivered
    yield [each.report for each in locks.reports(100)]


@given(script=asked, is_silent=st.sampled_from((False, False, False, True)))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_all_backends_answer_and_remember_the_same(
    places: list[Place], script: list[tuple[str, Any]], is_silent: bool
) -> None:
    first, *others = (played(place, script, is_silent) for place in places)

    for place, found in zip(places[1:], others, strict=True):
        assert found == first, place.kind
