"""The log in a SQLite file keeps the store's promises."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kedge.store.log import ObjectLog
from kedge.testing.stores import DurableStoreConformance, StoreConformance


class TestObjectLog(StoreConformance, DurableStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[ObjectLog]:
        log = ObjectLog(tmp_path / "objects.db")
        yield log
        log.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Iterator[Callable[[], ObjectLog]]:
        opened = list[ObjectLog]()

        def reopen() -> ObjectLog:
            opened.append(ObjectLog(tmp_path / "objects.db"))
            return opened[-1]

        yield reopen
        for log in opened:
            log.close()
