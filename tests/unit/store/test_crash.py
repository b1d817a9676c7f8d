"""A write that was answered survives the death of the process."""

import subprocess
import sys
from pathlib import Path

from kedge.store.log import ObjectLog

_WRITER = """
import sys
from kedge.store.log import ObjectLog

log = ObjectLog(sys.argv[1], keep=50)
number = 0
while True:
    key = f"/p/{number % 7}"
    head = log.get(key)
    record = log.update(key, str(number).encode(), head.revision) if head else log.create(key, str(number).encode())
    print(record.revision, flush=True)
    number += 1
"""


def test_an_answered_write_survives_kill(tmp_path: Path) -> None:
    """Killed at any moment, also while it compacts, the log holds every revision that it gave out."""
    path = tmp_path / "objects.db"
    answered = 0
    for lines in (3, 700, 1500):
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                answered = int(writer.stdout.readline())
            writer.kill()
            answered = max([answered, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        log = ObjectLog(path)
        assert log.current() >= answered
        newest = max(record.revision for record in log.list("/p/").records)
        assert newest == log.current()
        assert [change.revision for change in log.after(log.compacted())] == list(range(log.compacted() + 1, newest + 1))
        log.close()
