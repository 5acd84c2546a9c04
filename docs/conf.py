"""How Sphinx makes the documentation; run as a program, it writes the table of options anew."""

from __future__ import annotations

from pathlib import Path

project = "celery_jobsched"
author = copyright = "celery_jobsched contributors"

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "celery_jobsched"


def write_options() -> None:
    """Make the table of options on its page what `settings.py` says."""
    from celery_jobsched.settings import options_table

    page = Path(__file__).parent / "reference" / "settings.md"
    before, begin, rest = page.read_text().partition("<!-- options -->\n")
    _, end, after = rest.partition("<!-- end of options -->")
    page.write_text(before + begin + options_table() + end + after)


if __name__ == "__main__":
    write_options()
