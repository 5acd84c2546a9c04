"""The one language in which jobs are chosen: ``state:failing task:billing.* label:team=fin night``.

Pure: words in, what they ask for out. ``*`` and ``?`` match in patterns; case does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import InvalidJob
from .fields import long_text, to_json
from .views import JobState

KEYS = ("state", "task", "name", "label", "source", "text")


@dataclass(frozen=True)
class Filter:
    """What jobs must be: in one of the states, and match all of the rest."""

    states: tuple[JobState, ...] = ()
    #: Patterns of the whole task's name.
    tasks: tuple[str, ...] = ()
    #: Patterns of the whole name, or a part of it where nothing in them matches at large.
    names: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    #: Parts of the name, the task or the description.
    texts: tuple[str, ...] = ()
    #: Labels, and their values; None: any.
    labels: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no database can be asked for."""
        asked = {"task": self.tasks, "name": self.names, "source": self.sources, "text": self.texts}
        for key, values in (*asked.items(), ("label", self.labels)):
            for value in values:
                long_text(key, value)

    def has_labels(self, labels: Any) -> bool:
        """Whether labels, as read from a row, are those that are asked for."""
        if not self.labels:
            return True
        if not isinstance(labels, Mapping):
            return False
        return all(
            key in labels and (value is None or value in _forms(labels[key]))
            for key, value in self.labels.items()
        )


def is_filter(word: str) -> bool:
    """Whether a word is one of the filter's, and no name of a job."""
    key, colon, _ = word.partition(":")
    return bool(colon) and key in KEYS


def parse_filter(words: Iterable[str]) -> Filter:
    """What these words ask for; a word without a key is a part of a text.

    Raises:
        InvalidJob: a state that there is not, or nothing behind a key.
    """
    found: dict[str, list[str]] = {key: [] for key in KEYS}
    for word in words:
        key, value = word.split(":", 1) if is_filter(word) else ("text", word)
        if not value:
            raise InvalidJob(key, value, f"a value, such as {key}:something")
        found[key].append(value)
    return Filter(
        states=tuple(state_of(each) for value in found["state"] for each in value.split(",")),
        tasks=tuple(found["task"]),
        names=tuple(found["name"]),
        sources=tuple(found["source"]),
        texts=tuple(found["text"]),
        labels=dict(_label(each) for each in found["label"]),
    )


def state_of(word: str) -> JobState:
    """The state of that word.

    Raises:
        InvalidJob: there is none.
    """
    try:
        return JobState(word.lower())
    except ValueError:
        states = ", ".join(each.value for each in JobState)
        raise InvalidJob("state", word, f"one of {states}") from None


def _label(text: str) -> tuple[str, str | None]:
    key, is_value, value = text.partition("=")
    return key, value if is_value else None


def _forms(value: Any) -> set[str]:
    """The texts that name a label's value: as itself, and as JSON."""
    return {str(value), to_json(value)}
