"""Which moments a recurring run fires, given what it has done and the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kedge.pipelines.schedules import Decision, Seen, Trigger, desire, filled

NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


def minutes(*numbers: float) -> tuple[datetime, ...]:
    return tuple(NINE + timedelta(minutes=number) for number in numbers)


EVERY_MINUTE = {"cron": "* * * * *"}
EVERY_TEN = {"interval": 600}


def decide(at: float, *, trigger: dict[str, Any] = EVERY_MINUTE, since: float = 0, **more: Any) -> Decision:
    made = Trigger(anchor=NINE, **trigger)
    fields = {"enabled": True, "no_catchup": False, "room": 10, **more}
    return desire(Seen(trigger=made, since=NINE + timedelta(minutes=since), **fields), NINE + timedelta(minutes=at))


@pytest.mark.parametrize(
    ("case", "moments", "wake"),
    [
        ({"at": 0.5}, (), 1),
        ({"at": 1}, (1,), 2),
        ({"at": 1.9}, (1,), 2),
        ({"at": 3.5, "since": 1}, (2, 3), 4),
        ({"at": 3.5, "since": 1, "no_catchup": True}, (3,), 4),
        ({"at": 3, "since": 1, "no_catchup": True}, (3,), 4),
        ({"at": 5, "room": 2}, (1, 2), None),
        ({"at": 5, "room": 0}, (), None),
        ({"at": 5, "room": -1}, (), None),
        ({"at": 5, "room": 0, "no_catchup": True}, (), None),
        ({"at": 0.5, "room": 0}, (), 1),
        ({"at": 5, "enabled": False}, (), None),
        ({"at": -60, "since": 3}, (), 4),
        ({"at": 9, "trigger": EVERY_TEN}, (), 10),
        ({"at": 25, "trigger": EVERY_TEN}, (10, 20), 30),
        ({"at": 25, "trigger": EVERY_TEN, "no_catchup": True}, (20,), 30),
        ({"at": 61, "trigger": {"cron": "@every 1h"}}, (60,), 120),
        ({"at": 2, "trigger": {**EVERY_MINUTE, "start": NINE + timedelta(minutes=2)}}, (2,), 3),
        ({"at": 25, "trigger": {**EVERY_TEN, "start": NINE + timedelta(minutes=5)}}, (15, 25), 35),
        ({"at": 9, "trigger": {**EVERY_MINUTE, "end": NINE + timedelta(minutes=2)}}, (1, 2), None),
        ({"at": 9, "trigger": {**EVERY_MINUTE, "end": NINE + timedelta(minutes=2)}, "no_catchup": True}, (2,), None),
        ({"at": 9, "trigger": {**EVERY_MINUTE, "end": NINE + timedelta(minutes=2)}, "since": 2}, (), None),
    ],
)
def test_what_is_fired(case: dict[str, Any], moments: tuple[float, ...], wake: float | None) -> None:
    assert decide(**case) == Decision(minutes(*moments), None if wake is None else minutes(wake)[0])


def test_a_start_in_the_past_is_caught_up_from() -> None:
    trigger = Trigger(cron="0 * * * *", start=NINE - timedelta(hours=2), anchor=NINE)
    seen = Seen(trigger=trigger, since=trigger.first, enabled=True, no_catchup=False, room=10)
    assert desire(seen, NINE).moments == minutes(-120, -60, 0)


def test_a_year_of_missed_seconds_without_catch_up_is_one_moment() -> None:
    trigger = Trigger(cron="* * * * * *", anchor=NINE - timedelta(days=365))
    seen = Seen(trigger=trigger, since=trigger.first, enabled=True, no_catchup=True, room=10)
    assert desire(seen, NINE).moments == (NINE,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[[ScheduledTime]]", "20261124090000"),
        ("[[ScheduledTime.2006-01-02]]", "2026-11-24"),
        ("[[CurrentTime.15:04:05]]", "09:05:00"),
        ("[[CurrentTime.Jan 02 06 100%]]", "Nov 24 26 100%"),
        ("run [[Index]] of [[Unknown]]", "run 7 of [[Unknown]]"),
        ({"a": ["[[Index]]", 1, None]}, {"a": ["7", 1, None]}),
        (3.5, 3.5),
    ],
)
def test_macros_in_arguments(value: Any, expected: Any) -> None:
    assert filled(value, NINE, NINE + timedelta(minutes=5), 7) == expected
