"""The log in memory keeps the store's promises."""

import pytest

from kedge.store.memory import MemoryLog
from kedge.testing.stores import StoreConformance


class TestMemoryLog(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryLog:
        return MemoryLog()
