"""Sets of completion indexes, written as Jobs write them: ``1,3-5,7``."""

from collections.abc import Iterable


def parse(text: str | None, completions: int | None = None) -> frozenset[int]:
    """Read what a status holds.

    Args:
        text: Numbers and intervals in increasing order; empty or ``None`` for no index.
        completions: Indexes from this one on are left out, as after a Job was made smaller.

    Examples:
        >>> sorted(parse("1,3-5,7"))
        [1, 3, 4, 5, 7]
        >>> sorted(parse("1,3-5,7", 5))
        [1, 3, 4]
    """
    found = set[int]()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if not first.isdecimal():
            continue
        end = int(last) if last.isdecimal() else int(first)
        found.update(range(int(first), min(end + 1, completions) if completions is not None else end + 1))
    return frozenset(each for each in found if completions is None or each < completions)


def render(indexes: Iterable[int]) -> str:
    """Write a set down; two neighbours are two numbers, three and more an interval.

    Examples:
        >>> render({7, 1, 3, 4, 5})
        '1,3-5,7'
        >>> render({0, 1})
        '0,1'
    """
    parts = list[str]()
    run = list[int]()
    for each in (*sorted(set(indexes)), None):
        if run and each != run[-1] + 1:
            parts += [str(run[0]), str(run[1])] if len(run) == 2 else [f"{run[0]}-{run[-1]}" if len(run) > 2 else str(run[0])]
            run = []
        if each is not None:
            run.append(each)
    return ",".join(parts)


def fault(text: str, completions: int) -> str:
    """What is wrong with a set that a person wrote, in Kubernetes' words, or ``""``.

    Examples:
        >>> fault("2-1", 5)
        'non-increasing order, previous: 2, current: 1'
    """
    previous = -1
    for part in text.split(",") if text else ():
        limits = part.split("-")
        if len(limits) > 2:
            rule = "an index interval can have at most two parts separated by '-'"
            return f'the fragment "{part}" violates the requirement that {rule}'
        for limit in limits:
            if not limit.isdecimal():
                return f'cannot convert string to integer for index: "{limit}"'
            if int(limit) >= completions:
                return f'too large index: "{limit}"'
            if int(limit) <= previous:
                return f"non-increasing order, previous: {previous}, current: {int(limit)}"
            previous = int(limit)
    return ""
