"""The bar of a command that takes long: on a terminal alone."""

from __future__ import annotations

import io
import sys

import pytest

from celery_jobsched.cli.options import progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)

    with progress(["a", "b", "c"]) as items:
        assert list(items) == ["a", "b", "c"]

    assert "3/3" in screen.getvalue()


def test_a_terminal_that_shows_the_items_themselves_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)

    with progress(["a"], False) as items:
        assert list(items) == ["a"]

    assert screen.getvalue() == ""


def test_a_pipe_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(iter(["a"])) as items:
        assert list(items) == ["a"]

    assert capsys.readouterr().err == ""
