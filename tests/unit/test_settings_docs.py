"""The documentation's table of options is the one that `settings.py` makes."""

from __future__ import annotations

from pathlib import Path

from celery_jobsched.settings import options_table

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "settings.md"


def test_the_options_page_shows_the_table_that_the_settings_make() -> None:
    text = PAGE.read_text()

    shown = text.partition("<!-- options -->\n")[2].partition("<!-- end of options -->")[0]

    assert shown == options_table(), "python docs/conf.py writes it anew"
