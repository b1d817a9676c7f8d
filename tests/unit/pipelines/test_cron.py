"""Cron expressions: upstream's six fields, everybody's five, and the rest."""

from datetime import UTC, datetime

import pytest

from kedge.errors import BadRequest
from kedge.pipelines.cron import Cron, every


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def following(expression: str, start: str, count: int = 3) -> list[str]:
    cron, moment, found = Cron(expression), at(start), []
    for _ in range(count):
        after = cron.after(moment)
        assert after is not None
        moment = after
        found.append(f"{moment:%Y-%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        ("0 9 * * 1", "2026-11-24", ["2026-11-30 09:00:00", "2026-12-07 09:00:00"]),
        ("*/15 * * * *", "2026-11-24 00:01", ["2026-11-24 00:15:00", "2026-11-24 00:30:00"]),
        ("30 0 9 * * 1", "2026-11-24", ["2026-11-30 09:00:30", "2026-12-07 09:00:30"]),
        ("0 0 9 * * MON-FRI", "2026-11-27 10:00", ["2026-11-30 09:00:00", "2026-12-01 09:00:00"]),
        ("*/20 * * * * *", "2026-11-24", ["2026-11-24 00:00:20", "2026-11-24 00:00:40"]),
        ("5/20 * * * * *", "2026-11-24", ["2026-11-24 00:00:05", "2026-11-24 00:00:25"]),
        ("0 0 0 1,15 * ?", "2026-11-24", ["2026-12-01 00:00:00", "2026-12-15 00:00:00"]),
        ("0 0 0 ? * SUN", "2026-11-24", ["2026-11-29 00:00:00", "2026-12-06 00:00:00"]),
        ("0 0 12 13 * 5", "2026-11-01", ["2026-11-06 12:00:00", "2026-11-13 12:00:00"]),  # either day, as in every cron
        ("0 0 29 2 *", "2026-11-24", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("@yearly", "2026-11-24", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@monthly", "2026-11-24", ["2026-12-01 00:00:00", "2027-01-01 00:00:00"]),
        ("@weekly", "2026-11-24", ["2026-11-29 00:00:00", "2026-12-06 00:00:00"]),
        ("@daily", "2026-11-24", ["2026-11-25 00:00:00", "2026-11-26 00:00:00"]),
        ("@Hourly", "2026-11-24", ["2026-11-24 01:00:00", "2026-11-24 02:00:00"]),
        ("TZ=Asia/Tokyo 0 9 * * *", "2026-11-24", ["2026-11-25 00:00:00", "2026-11-26 00:00:00"]),
        ("CRON_TZ=America/New_York @daily", "2026-11-24", ["2026-11-24 05:00:00", "2026-11-25 05:00:00"]),
    ],
)
def test_moments(expression: str, start: str, expected: list[str]) -> None:
    assert following(expression, start, 2) == expected


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_summer_time_neither_loses_nor_doubles_a_daily_moment(expression: str) -> None:
    berlin = f"TZ=Europe/Berlin {expression}"
    # On 29 March 2026 there is no 02:30; on 25 October there are two.
    assert following(berlin, "2026-03-28 00:00", 3) == ["2026-03-28 01:30:00", "2026-03-29 01:00:00", "2026-03-30 00:30:00"]
    assert following(berlin, "2026-10-24 00:00", 3) == ["2026-10-24 00:30:00", "2026-10-25 00:30:00", "2026-10-26 01:30:00"]


def test_the_last_moment_may_be_the_time_itself() -> None:
    cron = Cron("0 9 * * *")
    assert cron.last(at("2026-11-24 09:00")) == at("2026-11-24 09:00")
    assert cron.last(at("2026-11-24 08:59:59")) == at("2026-11-23 09:00")


@pytest.mark.parametrize(
    ("text", "seconds"), [("@every 1h", 3600), ("@every 1h30m", 5400), ("@every 90s", 90), ("@every 1.5m", 90), ("@daily", None)]
)
def test_every(text: str, seconds: int | None) -> None:
    assert every(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 fields. Write minute, hour"),
        ("* * *", "has 3 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("61 * * * *", "bad minute field"),
        ("* 24 * * *", "bad hour field"),
        ("* * * * FUN", "bad day-of-week field"),
        ("*/0 * * * *", "bad minute field"),
        ("0 0 30 2 *", "bad day-of-month field"),
        ("@fortnightly", "is none of @yearly"),
        ("TZ=Mars/Olympus 0 9 * * *", "'Mars/Olympus' is no time zone that this machine knows"),
        ("TZ=/etc/passwd 0 9 * * *", "is no time zone"),
        ("TZ=../x 0 9 * * *", "is no time zone"),
        ("x" * 300, "has more than 200 characters"),
    ],
)
def test_what_is_no_expression_says_what_is(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Cron(text)
    assert message in str(refused.value)


def test_every_needs_a_second() -> None:
    with pytest.raises(BadRequest, match="at least a second"):
        every("@every 0.5s")
