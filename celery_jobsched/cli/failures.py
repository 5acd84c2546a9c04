"""How a command ends when it cannot do what it should: one line of words, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from .saying import tell

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError

__all__ = ["ANSWER_IS_NO", "FAILED", "NO_SUCH_JOB", "failing_in_words"]

FAILED = 1
#: It was looked, and the answer is no.
ANSWER_IS_NO = 3
NO_SUCH_JOB = 4
_USAGE, _UNAVAILABLE = 2, 69


@contextmanager
def failing_in_words() -> Iterator[None]:
    """Refused values end a command as wrong usage, the rest by what is in the way."""
    from kombu.exceptions import OperationalError
    from sqlalchemy.exc import DBAPIError

    from ..errors import (
        InvalidJob,
        InvalidSource,
        JobChanged,
        JobExistError,
        JobNotFound,
        JobOwned,
        JobschedError,
    )

    try:
        yield
    except InvalidJob as error:
        said = error.sentence if error.job in {None, "-"} else str(error)
        raise _ending(said, _USAGE) from error
    except InvalidSource as error:
        raise _ending(str(error), _USAGE) from error
    except JobNotFound as error:
        raise _ending(str(error), NO_SUCH_JOB) from error
    except JobOwned as error:
        raise _ending(f"{error} (--force)", FAILED) from error
    except (JobExistError, JobChanged) as error:
        raise _ending(str(error), FAILED) from error
    except DBAPIError as error:
        raise _of_database(error) from error
    except (JobschedError, OperationalError, ConnectionError) as error:
        raise _ending(str(error), _UNAVAILABLE) from error


def _of_database(error: DBAPIError) -> click.exceptions.Exit:
    from ..store.engine import is_denied

    if is_denied(error):
        return _ending(f"the database does not allow that: {error.orig}", FAILED)
    return _ending(str(error.orig), _UNAVAILABLE)


def _ending(text: str, code: int) -> click.exceptions.Exit:
    tell(text, err=True)
    return click.exceptions.Exit(code)
