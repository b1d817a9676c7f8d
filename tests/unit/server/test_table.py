"""Ages as `kubectl` prints them."""

from datetime import UTC, datetime, timedelta

import pytest

from kedge.kube.clock import timestamp
from kedge.server.table import age

NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("past", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (800 * 86400, "2y"),
    ],
)
def test_ages(past: int, text: str) -> None:
    assert age(timestamp(NOW - timedelta(seconds=past)), NOW) == text


@pytest.mark.parametrize("since", [None, "", "yesterday"])
def test_an_age_that_nobody_knows(since: str | None) -> None:
    assert age(since, NOW) == "<unknown>"
