"""How a command ends when it cannot do what it should: one line of words, and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["ANSWER_IS_NO", "NO_SUCH_JOB", "failing_in_words"]

#: It was looked, and the answer is no.
ANSWER_IS_NO = 3
NO_SUCH_JOB = 4
_USAGE, _UNAVAILABLE = 2, 69


@contextmanager
def failing_in_words() -> Iterator[None]:
    """Refused values end a command as wrong usage, the rest as something that is not available."""
    from sqlalchemy.exc import DBAPIError

    from ..errors import InvalidJob, JobschedError

    try:
        yield
    except InvalidJob as error:
        raise _ending(error.sentence, _USAGE) from error
    except (DBAPIError, JobschedError) as error:
        raise _ending(f"{getattr(error, 'orig', error)}", _UNAVAILABLE) from error


def _ending(text: str, code: int) -> click.exceptions.Exit:
    click.echo(text, err=True)
    return click.exceptions.Exit(code)
