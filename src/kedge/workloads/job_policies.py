"""What a Job makes of a failed Pod (``podFailurePolicy``), and when it has enough (``successPolicy``)."""

from dataclasses import dataclass
from typing import Any, Literal

from kedge.kube import indexes
from kedge.kube.kinds import Obj

Action = Literal["FailJob", "FailIndex", "Ignore", "Count"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a Job makes of a failed Pod.

    Attributes:
        action: Of the rule that matched first; ``None`` when none did.
        message: For the Job's condition, where the rule fails it.
    """

    action: Action | None = None
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the limits."""
        return self.action != "Ignore"


def verdict(policy: Obj | None, pod: Obj) -> Verdict:
    """What the first rule that matches says of a failed Pod."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for index, rule in enumerate((policy or {}).get("rules") or ()):
        action: Action = rule["action"]
        matching = f"matching {action} rule at index {index}"
        if (codes := rule.get("onExitCodes")) is not None:
            if (status := _failed_container(pod, codes)) is not None:
                code = status["state"]["terminated"]["exitCode"]
                container = f"Container {status['name']} for pod {name} failed with exit code {code}"
                return Verdict(action, f"{container} {matching}")
        elif (condition := _condition(pod, rule.get("onPodConditions") or [])) is not None:
            return Verdict(action, f"Pod {name} has condition {condition} {matching}")
    return Verdict()


def _failed_container(pod: Obj, codes: Obj) -> Obj | None:
    status: Obj = pod.get("status") or {}
    found: list[Obj] = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    wanted: Any = codes.get("containerName")
    for each in found:
        code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode")
        if (wanted is None or each.get("name") == wanted) and code and (code in codes["values"]) == (codes["operator"] == "In"):
            return each
    return None


def _condition(pod: Obj, patterns: list[Obj]) -> str | None:
    found = {each.get("type"): each.get("status") for each in (pod.get("status") or {}).get("conditions") or ()}
    return next((each["type"] for each in patterns if found.get(each["type"]) == each.get("status", "True")), None)


def success_rule(policy: Obj | None, completed: frozenset[int], completions: int) -> int | None:
    """The position of the first rule that the completed indexes fulfil; ``None`` for none.

    Examples:
        >>> success_rule({"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]}, frozenset({0, 3}), 4)
        0
    """
    for position, rule in enumerate((policy or {}).get("rules") or ()):
        text, count = rule.get("succeededIndexes"), rule.get("succeededCount")
        wanted = indexes.parse(text, completions) if text is not None else None
        of_these = completed if wanted is None else completed & wanted
        least = count if count is not None else len(wanted or ())
        if len(of_these) >= least:
            return position
    return None
