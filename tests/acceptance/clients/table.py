"""The table of ``docs/compatibility.md`` that says what clients of Kubernetes ask, and what they are answered.

It is what the tests compare with, on either host. ``make tables`` writes it anew from what the embedded host answers.
"""

from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "compatibility.md"
BEGIN, END = "<!-- clients: begin (written by make tables) -->\n", "<!-- clients: end -->\n"
CLIENTS = (
    "kubectl",
    "kubectl 1.36",
    "Python 30",
    "Python 35",
    "kr8s",
    "client-go",
    "controller-runtime",
    "Kubeflow",
)


@dataclass
class Row:
    """A step.

    Attributes:
        answer: What all clients are answered.
        clients: Who asks.
    """

    answer: str
    clients: set[str] = field(default_factory=set[str])


def read(text: str) -> dict[str, Row]:
    """The rows of a page, by step."""
    _, _, after = text.partition(BEGIN)
    block, ended, _ = after.partition(END)
    assert ended, f"{PAGE.name} lacks the lines {BEGIN!r} and {END!r}"
    heading, *lines = [_cells(line) for line in block.splitlines() if line.startswith("|")]
    return {
        step: Row(answer, {client for client, cell in zip(heading[2:], cells, strict=True) if cell == "yes"})
        for step, answer, *cells in lines[1:]
    }


def answers(rows: dict[str, Row], client: str) -> dict[str, str]:
    """What a client is answered, by step."""
    return {step: row.answer for step, row in rows.items() if client in row.clients}


def merged(rows: dict[str, Row], client: str, told: dict[str, str]) -> dict[str, Row]:
    """The rows with a client's answers in place of those that they had of it.

    Where others were answered something else, they have none any more until they ask again: their test fails if that stays so.
    """
    found = {step: Row(row.answer, row.clients - {client}) for step, row in rows.items()}
    order, place = list(found), 0
    for step, answer in told.items():
        row = found.setdefault(step, Row(answer))
        found[step] = Row(answer, {client} | (row.clients if row.answer == answer else set()))
        if step not in order:
            order.insert(place, step)
        place = order.index(step) + 1
    return {step: found[step] for step in order if found[step].clients}


def written(text: str, rows: dict[str, Row]) -> str:
    """A page with these rows in place of those that it had."""
    before, begin, after = text.partition(BEGIN)
    _, end, rest = after.partition(END)
    lines = [["asked", "answered", *CLIENTS], ["---"] * (2 + len(CLIENTS))]
    lines += [
        [step, row.answer, *("yes" if each in row.clients else "\N{EN DASH}" for each in CLIENTS)] for step, row in rows.items()
    ]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    return f"{before}{begin}\n{table}\n{end}{rest}"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]
