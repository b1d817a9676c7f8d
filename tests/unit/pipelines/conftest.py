"""Every statement that these tests make the package issue must find its rows through an index."""

from collections.abc import Iterator

import pytest

from kedge.testing.statements import only_indexed


@pytest.fixture(autouse=True)
def _no_table_is_read_whole() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # pytest calls it
    with only_indexed():
        yield
