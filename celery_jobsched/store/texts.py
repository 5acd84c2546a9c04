"""What is asked of texts in the database, by the word that each database has for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class digest(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """A short value of a text, another one for another text: to compare within one process."""

    type = sa.types.NullType()
    inherit_cache = True


@compiles(digest)
def _digest_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    # As bytes: what is no UTF-8 would raise on its way to a function of Python's.
    return f"jobsched_digest(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


@compiles(digest, "postgresql")
def _digest_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"hashtextextended({compiler.process(element.clauses, **kw)}, 0)"


@compiles(digest, "mysql", "mariadb")
def _digest_mysql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"MD5({compiler.process(element.clauses, **kw)})"


class begins_with(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """Whether a text begins with another one; each of them is computed once."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(begins_with)
def _begins_with(element: Any, compiler: Any, **kw: Any) -> str:
    return f"(INSTR({compiler.process(element.clauses, **kw)}) = 1)"


@compiles(begins_with, "postgresql")
def _begins_with_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"starts_with({compiler.process(element.clauses, **kw)})"
