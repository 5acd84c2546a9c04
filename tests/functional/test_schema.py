"""The tables in a schema of their own, beside others of the same database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from tests.persons import Person
from tests.records import Records
from tests.services import fresh_database


def test_a_search_path_in_the_url_says_in_which_schema_the_tables_are(tmp_path: Path) -> None:
    with fresh_database("postgresql", tmp_path) as url, Records(url) as public:
        public.run(sa.text("CREATE SCHEMA scheduler"))
        within = f"{url}?options=-csearch_path%3Dscheduler"
        with closing(Person(within, tmp_path)) as person:
            person.jobs.add("it", task="proj.note", keyword="go")
            person.beat()
            person.jobs.fire("go")
            person.beat()
            states = [row["state"] for row in person.records.fires("it")]
        tables = sa.inspect(public.engine)

        assert states == ["sent"]
        assert tables.get_table_names("public") == []
        assert "jobsched_version" in tables.get_table_names("scheduler")
