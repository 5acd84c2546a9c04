"""The databases' own command line clients: psql, mariadb, sqlite3."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from sqlalchemy import URL, make_url

from tests.services import require_program


class ClientError(Exception):
    """The client said that a statement failed; the text is what it wrote."""


def sql_client(url: str, seconds: float = 30) -> Callable[[str], str]:
    """A function that runs SQL by the client of the database *url* and returns its output.

    The output has a line for each row, without headings; columns are parted by `|`, by tabs
    on MariaDB. Statements commit one by one, and the first that fails raises `ClientError`.
    """
    database = make_url(url)
    command, secret = _COMMANDS[database.get_backend_name()](database)

    def run(sql: str) -> str:
        done = subprocess.run(
            command,
            input=sql,
            env={**os.environ, **secret},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode:
            raise ClientError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout.strip()

    return run


def _sqlite3(url: URL) -> tuple[list[str], dict[str, str]]:
    program = require_program("sqlite3")
    return [program, "-batch", "-bail", "-cmd", ".timeout 5000", str(url.database)], {}


def _psql(url: URL) -> tuple[list[str], dict[str, str]]:
    options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", str(url.database)]
    where = _where(url, host="-h", port="-p", user="-U")
    return [require_program("psql"), *options, *where], {"PGPASSWORD": url.password or ""}


def _mariadb(url: URL) -> tuple[list[str], dict[str, str]]:
    program = shutil.which("mariadb") or require_program("mysql")
    options = ["--batch", "--skip-column-names", "--protocol=TCP"]
    where = _where(url, host="-h", port="-P", user="-u")
    return [program, *options, *where, str(url.database)], {"MYSQL_PWD": url.password or ""}


def _where(url: URL, host: str, port: str, user: str) -> list[str]:
    given = ((host, url.host), (port, url.port), (user, url.username))
    return [part for option, value in given if value for part in (option, str(value))]


_COMMANDS = {"sqlite": _sqlite3, "postgresql": _psql, "mysql": _mariadb}
