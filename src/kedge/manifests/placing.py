"""Where the Pods of a hub may run and with whose word their image is pulled: what the options say, in a Pod's words."""

import re
from collections.abc import Iterable, Mapping, Sequence

from kedge.kube import names
from kedge.kube.kinds import Obj

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TOLERATION = re.compile(r"(?P<key>[^=:]+)(=(?P<value>[^=:]*))?(:(?P<effect>[^=:]+))?")


def fields(pull_secrets: Sequence[str], node_selector: Mapping[str, str], tolerations: Sequence[str]) -> Obj:
    """The fields of a Pod's ``spec``; those that say nothing are left out.

    Args:
        pull_secrets: Names of Secrets.
        node_selector: Labels that the node must have.
        tolerations: As ``KEY[=VALUE][:EFFECT]``.
    """
    found = {
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "nodeSelector": dict(node_selector),
        "tolerations": [toleration(text) for text in tolerations],
    }
    return {name: value for name, value in found.items() if value}


def toleration(text: str) -> Obj:
    """A toleration, written as ``kubectl taint`` writes taints.

    Examples:
        >>> toleration("dedicated=ml:NoSchedule")
        {'key': 'dedicated', 'operator': 'Equal', 'value': 'ml', 'effect': 'NoSchedule'}
        >>> toleration("spot")
        {'key': 'spot', 'operator': 'Exists'}
    """
    parts = _TOLERATION.fullmatch(text)
    assert parts is not None, text  # noqa: S101  # `faults` has looked
    found = {"key": parts["key"], "operator": "Exists" if parts["value"] is None else "Equal"}
    return found | {name: parts[name] for name in ("value", "effect") if parts[name] is not None}


def faults(node_selector: Mapping[str, str], tolerations: Iterable[str]) -> list[str]:
    """What is wrong with the options, one sentence each."""
    found: list[str] = []
    for key, value in node_selector.items():
        if fault := names.qualified_fault(key) or names.label_value_fault(value):
            found.append(
                f"--node-selector: {key}={value}: {fault}. Write KEY=VALUE, as nodes have it (kubectl get nodes --show-labels)."
            )
    told = {text: _fault(text) for text in tolerations}
    return found + [
        f"--toleration: {text}: {fault}. Write KEY[=VALUE][:EFFECT], as kubectl taint has it."
        for text, fault in told.items()
        if fault
    ]


def _fault(text: str) -> str:
    parts = _TOLERATION.fullmatch(text)
    if parts is None:
        return "is no toleration"
    if parts["effect"] not in {None, *_EFFECTS}:
        return f"its effect must be {', '.join(_EFFECTS[:-1])} or {_EFFECTS[-1]}, got {parts['effect']!r}"
    return names.qualified_fault(parts["key"]) or names.label_value_fault(parts["value"] or "")
