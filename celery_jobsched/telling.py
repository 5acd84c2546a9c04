"""Saying what became of fires on their way to the broker: in the log, and by signals."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from . import events
from .fire import Fire
from .reports import tell
from .store.deliveries import Delivery
from .store.ends import Applied
from .store.skips import Settled

logger = logging.getLogger(__name__)

#: Why a fire is cancelled that its job does not want any more.
UNWANTED = "its job was paused or deleted"


def tell_claimed(deliveries: Sequence[Delivery]) -> None:
    """These are owed, and this beat is about to deliver them."""
    _tell_each(events.fire_claimed, [each.fire for each in deliveries])


def tell_sent(ids: Sequence[str], deliveries: Sequence[Delivery]) -> None:
    """The broker has those of these ids."""
    _tell_those(events.fire_sent, ids, deliveries)


def tell_cancelled(ids: Sequence[str], deliveries: Sequence[Delivery]) -> None:
    """Those of these ids will not be sent."""
    _tell_those(events.fire_cancelled, ids, deliveries, reason=UNWANTED)


def tell_failed(failed: Applied) -> None:
    """These can never be published."""
    for each in failed.told:
        id_, problem = each.report.fire, each.report.error
        told = {"job": each.job, "fire_id": id_, "fire_at": each.fire_at}
        logger.error("job %r: fire %s failed: %s", each.job, id_, problem, extra=told)
    tell(failed)


def tell_settled(settled: Settled) -> None:
    """What became of those that found no slot."""
    for skip in settled.skipped:
        fire = skip.fire
        logger.warning("job %r: skipped: %s", fire.job_name, skip.reason, extra=_told(fire))
        _tell_each(events.fire_skipped, [fire], reason=skip.reason)
    _tell_each(events.fire_waiting, [fire for fire, _ in settled.waiting])


def _tell_those(signal: Any, ids: Sequence[str], among: Sequence[Delivery], **more: str) -> None:
    if ids and signal.receivers:
        known = {each.fire.id: each.fire for each in among}
        _tell_each(signal, [known[id_] for id_ in ids], **more)


def _tell_each(signal: Any, fires: Iterable[Fire], **more: str) -> None:
    for fire in fires if signal.receivers else ():
        signal.send(sender=None, origin=fire.origin.value, **_told(fire), **more)


def _told(fire: Fire) -> dict[str, Any]:
    return {"job": fire.job_name, "fire_id": fire.id, "fire_at": fire.fire_at}
