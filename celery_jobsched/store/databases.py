"""Which databases ``jobsched_database_url`` leads to: one by its URL, or several by aliases.

Reads and checks the option; opens nothing. What it refuses is named by option and alias, and no
URL is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy.engine import make_url

from ..errors import InvalidSetting, shown
from .engine import backend_of

Databases: TypeAlias = "str | Mapping[str, str]"

_OPTION = "jobsched_database_url"
_HERE = {None: "localhost", "": "localhost", "127.0.0.1": "localhost", "::1": "localhost"}
_PORTS = {"postgresql": 5432, "mysql": 3306}


def aliases_of(databases: Databases) -> tuple[str, ...]:
    """The aliases of several databases, in their order; none where there is but a URL."""
    return () if isinstance(databases, str) else tuple(databases)


def named(databases: Databases, alias: str | None) -> str | None:
    """The alias that *alias* means, the first one by default; None where there is but a URL.

    Raises:
        InvalidSetting: there is no such alias.
    """
    aliases = aliases_of(databases)
    if alias is None:
        return aliases[0] if aliases else None
    if alias not in aliases:
        there = ", ".join(aliases) or "none, for it is a single URL"
        raise InvalidSetting(f"expected an alias of {_OPTION} ({there}), got: {shown(alias)}")
    return alias


def url_of(databases: Databases, alias: str | None) -> str:
    """The URL of one of them, see :func:`named`."""
    found = named(databases, alias)
    if isinstance(databases, str) or found is None:
        return str(databases)
    return databases[found]


def check(databases: Databases) -> None:
    """Refuse URLs that cannot be used, and two that lead to one database.

    Raises:
        InvalidSetting: names the option, and the alias.
    """
    if isinstance(databases, str):
        backend_of(databases)
        return
    for alias, url in databases.items():
        backend_of(url, f"{_OPTION}[{alias!r}]")
    for (one, first), (other, second) in combinations(databases.items(), 2):
        if _place(first) == _place(second):
            text = f"expected a database of its own, got: that of {one!r}"
            raise InvalidSetting(f"{_OPTION}[{other!r}]: {text}")


def _place(url: str) -> Any:
    """What tells one database from another. Its schema may be named by an option of the URL."""
    parts = make_url(url)
    kind = parts.get_backend_name().replace("mariadb", "mysql")
    if kind == "sqlite":
        name = parts.database
        return (kind, str(Path(name).resolve())) if name and name != ":memory:" else object()
    host, port = _HERE.get(parts.host, parts.host), parts.port or _PORTS[kind]
    return kind, host, port, parts.database, parts.query.get("options")
