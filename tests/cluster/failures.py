"""The table of `docs/failures.md`, as tests read it."""

import re
from dataclasses import dataclass
from pathlib import Path

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "failures.md"
_COLUMNS = 7


@dataclass(frozen=True)
class Row:
    """What a fault costs, and what is shown of it.

    Attributes:
        fault: Its name.
        infra: Attempts of the infrastructure's that are used up.
        user: Likewise of the user's.
        pod: Reasons that Kubernetes may give; none where there is no Pod, or where it says nothing.
        state: The task's.
        code: Why it failed; ``""`` where nothing did.
        message: What people are told, with ``…`` for anything.
    """

    fault: str
    infra: int
    user: int
    pod: tuple[str, ...]
    state: str
    code: str
    message: str

    def says(self, text: str, pod: str = "") -> bool:
        """Whether a message is the row's."""
        parts = (re.escape(part) for part in self.message.replace("{pod}", pod).split("…"))
        return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


def _rows() -> dict[str, Row]:
    found = dict[str, Row]()
    for line in _PAGE.read_text("utf-8").splitlines():
        if not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        assert len(cells) == _COLUMNS, line
        fault, infra, user, pod, state, code, message = cells
        name = fault.strip("`")
        reasons = tuple(reason.strip() for reason in pod.split(",") if reason.strip())
        found[name] = Row(name, int(infra), int(user), reasons, state, code, message)
    return found


def _reasons() -> dict[str, str]:
    found = dict[str, str]()
    for line in _PAGE.read_text("utf-8").splitlines():
        if line.startswith("- `") and ": " in line:
            faults, why = line[2:].split(": ", 1)
            found.update((fault.strip(" `"), why) for fault in faults.split(","))
    return found


ROWS = _rows()
ELSEWHERE_ONLY = _reasons()
"""Faults that the embedded host does not know, and why."""
