"""Quantities are read exactly and written shortly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kedge.kube import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", "1"),
        (2, "2"),
        (0.5, "0.5"),
        ("100m", "0.1"),
        ("1.5Gi", "1610612736"),
        ("1k", "1000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", "1000000000000000000"),
        ("5n", "0.000000005"),
        ("-1", "-1"),
        (".5", "0.5"),
    ],
)
def test_reads(text: str | float, value: str) -> None:
    assert quantities.parse(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1GiB", "Gi", "1e", True, "9" * 65, "0x10", "1e999", "\u0661"])
def test_refuses(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"must be a quantity such as 500m, 2 or 1\.5Gi, got"):
        quantities.parse(text)


def test_a_resource_is_not_negative() -> None:
    assert quantities.fault("-1") == "must not be negative, got '-1'"
    assert quantities.fault(None).startswith("must be a quantity")


@given(st.integers(0, 10**15))
def test_memory_is_read_back_as_written(size: int) -> None:
    assert quantities.memory(quantities.render_memory(size)) == size


@given(st.integers(0, 10**6))
def test_processors_are_read_back_as_written(thousandths: int) -> None:
    assert quantities.cpu(quantities.render_cpu(thousandths / 1000)) == thousandths / 1000


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (0.5, "500m"),
        ("0.1", "100m"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        (1000, "1k"),
        ("1024Mi", "1Gi"),
        ("0.5Gi", "512Mi"),
        ("0.5Ki", "512"),
        ("1073741824", "1073741824"),
        ("1e3", "1e3"),
        ("1500e-3", "1500e-3"),
        ("100E1", "1e3"),
        ("0", "0"),
        ("-0.5", "-500m"),
    ],
)
def test_is_written_as_kubernetes_writes_it(text: str | float, written: str) -> None:
    assert quantities.canonical(text) == written
    assert quantities.canonical(written) == written
