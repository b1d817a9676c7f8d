"""What tests of pipelines share."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from rest_client import Rest, serving

from kedge.testing.runs import World
from kedge.testing.statements import only_indexed


@pytest.fixture(autouse=True)
def _no_table_is_read_whole() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]  # pytest calls it
    """Every statement that these tests make the package issue must find its rows through an index."""
    with only_indexed():
        yield


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncGenerator[Rest]:
    """The REST API of a new hub."""
    async with serving(World.new(tmp_path / "world")) as found:
        yield found
