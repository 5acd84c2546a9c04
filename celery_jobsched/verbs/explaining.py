"""Why a job did, or did not, run at an instant: sentences out of what is on record.

Pure: all facts come in.
"""

from __future__ import annotations

from ..errors import InvalidJob
from .facts import Explanation, Facts, Step, answer_no
from .of_fires import of_fire
from .of_instants import of_instant, of_now


def explain(facts: Facts) -> Explanation:
    """What became of it."""
    if facts.fire is not None:
        return of_fire(facts, facts.fire)
    if isinstance(facts.job, InvalidJob):
        return answer_no(facts, "its row cannot be read", Step("row", False, facts.job.sentence))
    if facts.at is None:
        return of_now(facts, facts.job)
    try:
        return of_instant(facts, facts.job, facts.at)
    except InvalidJob as error:
        return answer_no(facts, "when it fires cannot be told", Step("row", False, error.sentence))
