"""Worlds that are alike: copies of one database, each with a broker and locks as they were then."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
import sqlalchemy as sa
from celery import Celery
from sqlalchemy.engine import Engine

from celery_jobsched.store import tables
from celery_jobsched.store.engine import make_engine
from tests.forks import in_child


class Worlds:
    """Makes copies of a first world, which *prepare* makes; without it the world is empty."""

    def __init__(
        self, folder: Path, conf: dict[str, Any], prepare: Callable[[dict[str, Any]], Any] | None
    ) -> None:
        self.folder, self.conf = folder, conf
        self.is_file = conf["jobsched_database_url"].startswith("sqlite")
        self._is_prepared = prepare is not None
        self._first = self.conf_of("first")
        if prepare is not None:
            in_child(lambda: prepare(self._first))
            if not self.is_file:
                in_child(lambda: self._dump(self.folder / "rows.pickle"))

    def conf_of(self, name: str) -> dict[str, Any]:
        """The settings that lead to the world of that name."""
        conf = dict(self.conf)
        if self.is_file:
            conf["jobsched_database_url"] = f"sqlite:///{self.folder / name}.db"
        if conf["broker_url"] == "filesystem://":
            home = self.folder / f"{name}.queue"
            home.mkdir(exist_ok=True)
            places = ("data_folder_in", "data_folder_out", "control_folder")
            conf["broker_transport_options"] = dict.fromkeys(places, str(home))
        return conf

    def make(self, point: int) -> dict[str, Any]:
        """The world in which a beat is killed at *point*."""
        if not self.is_file:
            in_child(lambda: self._restore(self.folder / "rows.pickle"))
            return self._first
        if self._is_prepared:
            for file in self.folder.glob("first.db*"):
                shutil.copy(file, self.folder / file.name.replace("first", str(point)))
        return self.conf_of(str(point))

    def end(self, point: int) -> None:
        for path in self.folder.glob(f"{point}.*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _dump(self, path: Path) -> None:
        rows = rows_of(make_engine(self._first["jobsched_database_url"], 10))
        path.write_bytes(pickle.dumps((rows, self._remembered())))

    def _restore(self, path: Path) -> None:
        rows, remembered = pickle.loads(path.read_bytes())
        put_rows(make_engine(self._first["jobsched_database_url"], 10), rows)
        app = Celery(set_as_current=False, config_source=dict(self._first))
        with app.connection_for_write() as connection:
            queue = self._first["task_default_queue"]
            app.amqp.queues[queue](connection.default_channel).declare()
            connection.default_channel.queue_purge(queue)
        if self._redis is not None:
            self._redis.flushdb()
            for key, value in remembered.items():
                self._redis.restore(key, 0, value)

    @property
    def _redis(self) -> Any:
        """The Redis that keeps the locks alone, where one does."""
        place = self.conf["jobsched_lock_backend"]
        return None if place == "database" else redis.Redis.from_url(place)

    def _remembered(self) -> dict[bytes, Any]:
        memory = self._redis
        return {} if memory is None else {key: memory.dump(key) for key in memory.keys("*")}


def rows_of(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All that is in the tables."""
    with engine.connect() as conn:
        return {
            table.name: [dict(row) for row in conn.execute(_written(table)).mappings()]
            for table in tables.metadata.sorted_tables
        }


def put_rows(engine: Engine, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Have these in the tables, and nothing else."""
    with engine.begin() as conn:
        for table in tables.metadata.sorted_tables:
            conn.execute(sa.delete(table))
            if rows[table.name]:
                conn.execute(sa.insert(table), rows[table.name])


def _written(table: sa.Table) -> Any:
    return sa.select(*(column for column in table.c if column.computed is None))
