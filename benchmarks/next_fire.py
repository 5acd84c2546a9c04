"""Microseconds a fire: the next, the previous, a walk, and reading included; beside four libraries.

    python benchmarks/next_fire.py [--out RESULTS.jsonl] [--repeats 5]

Needs croniter, cronsim, APScheduler 3 and Celery in the same environment. The expressions and the
64 instants are those of scenario G of the peers' bench. Each figure is the median of the repeats;
these go round the libraries, so that a slow moment of the machine meets all of them.

    next, previous    from each of the 64 instants, with what was parsed before
    walk, walk back   from one fire to the next, 64 times (29 February: 16 times)
    read              the text is parsed for each of the 64 instants, then the next fire asked

cronsim is an iterator: it walks, and is not asked from an instant. Celery and APScheduler know no
previous fire. Each is given instants in the zone that it reads fastest: ours UTC, as the scheduler
does, the others local times.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from celery import Celery
from celery.schedules import crontab
from croniter import croniter
from cronsim import CronSim

from celery_jobsched import clock
from celery_jobsched.triggers.cron import Cron, parse_cron
from celery_jobsched.triggers.cron.expression import read_expression

EXPRESSIONS = (
    "* * * * *", "*/5 * * * *", "0 * * * *", "30 3 * * *", "0 3 * * 1", "15 2 1 * *",
    "0 0 1 1 *", "0 9-17 * * 1-5", "*/15 6,18 * * *", "0 12 29 2 *", "5 4 * * 0", "59 23 31 12 *",
)  # fmt: skip
ZONES = ("UTC", "Europe/Berlin")
KINDS = ("next", "previous", "walk", "walk back", "read")
PEERS = {"croniter": "croniter", "cronsim": "cronsim", "aps-3": "APScheduler", "celery": "celery"}
UTC = timezone.utc
#: How long one figure is measured, in seconds; what prepares a pass is not counted.
_LONG_ENOUGH = 0.01

Ask = Callable[[datetime], Any]


class Question(NamedTuple):
    """What is asked: of which expression, in which zone, from which instants (local times)."""

    kind: str
    text: str
    zone_name: str

    @property
    def zone(self) -> tzinfo:
        return UTC if self.zone_name == "UTC" else ZoneInfo(self.zone_name)

    @property
    def instants(self) -> list[datetime]:
        start = datetime(2026, 1, 3, 0, 7, 11, tzinfo=UTC)
        step = timedelta(days=5, hours=13, minutes=37, seconds=19)
        count = 16 if self.text == "0 12 29 2 *" else 64
        return [(start + i * step).astimezone(self.zone) for i in range(count)]


class Pass(NamedTuple):
    """*steps* fires: ``prepare()`` is not timed, ``run`` of what it gives is."""

    prepare: Callable[[], Any]
    run: Callable[[Any], Any]
    steps: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(", ".join(f"{package} {version(package)}" for package in PEERS.values()))
    lines = [line for zone in ZONES for kind in KINDS for line in table(kind, zone, options)]
    if options.out:
        with options.out.open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
    print("\nOurs against the fastest of the others, the least of all expressions\n")
    for zone in ZONES:
        for kind in KINDS:
            least = min(
                (line for line in lines if (line["zone"], line["kind"]) == (zone, kind)),
                key=lambda line: line["ratio"],
            )
            print(f"{zone:14} {kind:10} {least['ratio']:5.1f}  {least['expr']}")


def table(kind: str, zone_name: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    print(f"\n{zone_name}, {kind}: microseconds a fire\n")
    print_row("", "ours", *PEERS, "ratio", "a second")
    for text in EXPRESSIONS:
        question = Question(kind, text, zone_name)
        us = medians(passes(question), options.repeats)
        ratio = min(figure for name, figure in us.items() if name != "ours") / us["ours"]
        shown = [f"{us[name]:.2f}" if name in us else "" for name in ("ours", *PEERS)]
        print_row(text, *shown, f"{ratio:.1f}", f"{1e6 / us['ours']:,.0f}")
        differ = others_answers(question) if kind == "next" else {}
        if differ:
            print("   ", ", ".join(f"{name} answers otherwise {n}x" for name, n in differ.items()))
        yield {
            "scenario": "next_fire",
            "zone": zone_name,
            "kind": kind,
            "expr": text,
            "us": {name: round(figure, 3) for name, figure in us.items()},
            "ratio": round(ratio, 2),
            "per_second": round(1e6 / us["ours"]),
            "differ": differ,
        }


def print_row(text: str, *cells: str) -> None:
    print(f"{text:16}", *(f"{cell:>9}" for cell in cells), flush=True)


def medians(passes: dict[str, Pass], repeats: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in passes}
    for _ in range(repeats):
        for name, each in passes.items():
            found[name].append(microseconds(each))
    return {name: statistics.median(figures) for name, figures in found.items()}


def microseconds(each: Pass) -> float:
    spent, steps = 0.0, 0
    while spent < _LONG_ENOUGH:
        prepared = each.prepare()
        began = time.process_time()
        each.run(prepared)
        spent += time.process_time() - began
        steps += each.steps
    return spent / steps * 1e6


def passes(question: Question) -> dict[str, Pass]:
    """One for each library that can be asked so."""
    if question.kind.startswith("walk"):
        return walks(question)
    local = question.instants
    found = {}
    for name, make in makes(question).items():
        given = in_utc(local) if name == "ours" else local
        found[name] = Pass(make, partial(ask_each, given), len(local))
    return found


def makes(question: Question) -> dict[str, Callable[[], Ask]]:
    return {"next": nexts, "previous": previouses, "read": reads}[question.kind](question)


def others_answers(question: Question) -> dict[str, int]:
    """Of how many instants each of the others answers otherwise than ours."""
    local = question.instants
    answers = {name: in_utc(map(make(), local)) for name, make in makes(question).items()}
    pairs = {name: zip(answers["ours"], each, strict=True) for name, each in answers.items()}
    return {name: n for name, each in pairs.items() if (n := sum(a != b for a, b in each))}


def in_utc(instants: Any) -> list[datetime]:
    return [each.astimezone(UTC) for each in instants]


def ask_each(instants: list[datetime], ask: Ask) -> None:
    for instant in instants:
        ask(instant)


def nexts(question: Question) -> dict[str, Callable[[], Ask]]:
    return {
        "ours": lambda: our_trigger(question).next_after,
        "croniter": lambda: croniter_from(question.text, croniter.get_next),
        "aps-3": lambda: partial(apscheduler_trigger(question).get_next_fire_time, None),
        "celery": lambda: celery_from(question, celery_app(question)),
    }


def previouses(question: Question) -> dict[str, Callable[[], Ask]]:
    return {
        "ours": lambda: our_trigger(question).previous_before,
        "croniter": lambda: croniter_from(question.text, croniter.get_prev),
    }


def reads(question: Question) -> dict[str, Callable[[], Ask]]:
    text, zone, app = question.text, clock.zone(question.zone_name), celery_app(question)

    def ours(at: datetime) -> Any:
        fields = read_expression(text)  # parse_cron would remember it
        assert fields.comes
        return Cron(fields, zone).next_after(at)

    asks: dict[str, Ask] = {
        "ours": ours,
        "croniter": lambda at: croniter(text, at).get_next(datetime),
        "cronsim": lambda at: next(CronSim(text, at)),
        "aps-3": lambda at: apscheduler_trigger(question).get_next_fire_time(None, at),
        "celery": lambda at: celery_from(question, app)(at),
    }
    return {name: partial(lambda ask: ask, ask) for name, ask in asks.items()}


def walks(question: Question) -> dict[str, Pass]:
    text, start, steps = question.text, question.instants[0], len(question.instants)
    back = question.kind == "walk back"
    chain, repeat = partial(walk_on, steps), partial(call, steps)

    def ours() -> tuple[Ask, datetime]:
        trigger = our_trigger(question)
        return trigger.previous_before if back else trigger.next_after, start.astimezone(UTC)

    def croniters() -> Callable[[], Any]:
        made = croniter(text, start)
        return partial(made.get_prev if back else made.get_next, datetime)

    def apscheduler() -> tuple[Ask, datetime]:
        trigger = apscheduler_trigger(question)
        return lambda at: trigger.get_next_fire_time(at, at), start

    found = {
        "ours": Pass(ours, chain, steps),
        "croniter": Pass(croniters, repeat, steps),
        "cronsim": Pass(lambda: CronSim(text, start, back).__next__, repeat, steps),
    }
    return found if back else {**found, "aps-3": Pass(apscheduler, chain, steps)}


def walk_on(steps: int, made: tuple[Ask, datetime]) -> None:
    step, at = made
    for _ in range(steps):
        at = step(at)


def call(steps: int, step: Callable[[], Any]) -> None:
    for _ in range(steps):
        step()


def our_trigger(question: Question) -> Cron:
    return Cron(parse_cron(question.text), clock.zone(question.zone_name))


def croniter_from(text: str, step: Callable[..., Any]) -> Ask:
    made = croniter(text)

    def ask(at: datetime) -> Any:
        made.set_current(at)
        return step(made, datetime)

    return ask


def apscheduler_trigger(question: Question) -> CronTrigger:
    # Its weekdays count from Monday = 0.
    *fields, weekdays = question.text.split()
    weekdays = {"1": "mon", "1-5": "mon-fri", "0": "sun"}.get(weekdays, weekdays)
    return CronTrigger.from_crontab(" ".join([*fields, weekdays]), timezone=question.zone)


def celery_app(question: Question) -> Celery:
    app = Celery(set_as_current=False)
    app.conf.timezone = question.zone_name
    return app


def celery_from(question: Question, app: Celery) -> Ask:
    minute, hour, day, month, weekday = question.text.split()
    schedule = crontab(minute, hour, weekday, day, month, app=app)

    def ask(at: datetime) -> datetime:
        schedule.nowfun = lambda: at
        # Its estimate is elapsed time: to be added in UTC, not on the clock.
        return at.astimezone(UTC) + schedule.remaining_estimate(at)

    return ask


if __name__ == "__main__":
    main()
