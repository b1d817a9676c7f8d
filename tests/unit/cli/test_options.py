"""Options that several commands share."""

from kedge.cli.options import ago
from kedge.kube.clock import SystemClock, parse_timestamp


def test_an_age_is_a_time_that_the_api_reads() -> None:
    moment = parse_timestamp(ago(90))
    assert 90 <= (SystemClock().now() - moment).total_seconds() < 150


def test_an_age_before_all_times_is_the_first_of_them() -> None:
    assert ago(999_999_999 * 86_400) == "1970-01-01T00:00:00.000000Z"
