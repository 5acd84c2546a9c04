"""Which copy of which fire a request is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from ..locks import Copy
from ..ticket import Ticket, text_in, whole_in

logger = logging.getLogger(__name__)

#: As the locks keep them.
_LONGEST_ID = 36


class Asked(NamedTuple):
    """A copy, and what its message says beside."""

    copy: Copy
    ticket: Ticket
    job: str
    #: The broker delivered it before.
    is_redelivered: bool


def copy_of(request: Any, new_name: Callable[[], str]) -> Asked | None:
    """What *request* asks admission for, in a new name; None where it is no fire's."""
    header = request.request_dict.get("jobsched")
    if not isinstance(header, dict) or "installation" not in header:
        return None
    try:
        return _read(request, header, new_name())
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        logger.warning("fire %s: cannot read its header, it runs unasked: %r", request.id, error)
        return None


def _read(request: Any, header: dict[str, Any], worker: str) -> Asked:
    ticket = Ticket.from_header(header)
    copy = Copy(
        fire=text_in(request.id, _LONGEST_ID),
        limits=ticket.limits,
        lease=ticket.lease,
        token=text_in(header["token"], _LONGEST_ID),
        number=whole_in(header["n"]),
        retries=whole_in(request.request_dict.get("retries") or 0),
        made_at=ticket.made_at,
        published_at=ticket.published_at,
        worker=worker,
    )
    delivery = request.delivery_info or {}
    return Asked(copy, ticket, str(header["job"]), bool(delivery.get("redelivered")))
