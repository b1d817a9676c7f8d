"""A hub and a launcher for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from staged import Hub, Launcher


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def launcher(tmp_path: Path, hub: Hub) -> Launcher:
    return Launcher(tmp_path, hub)
