"""Admission of Pods by the PriorityClass that they name, and of the one class that those have which name none."""

from kedge.kube.core import POD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.priority_classes import PRIORITY_CLASS
from kedge.server.held import Held
from kedge.server.refusing import forbidden
from kedge.store.types import Store

_NONE: Obj = {"metadata": {"name": ""}, "value": 0, "preemptionPolicy": "PreemptLowerPriority"}
_COMPUTED = "must not be provided in pod spec; priority admission controller computed"


class Priorities:
    """Hook of the server's that gives Pods their priority.

    Args:
        store: Where PriorityClasses lie.
    """

    def __init__(self, store: Store) -> None:
        self._classes = Held(store, PRIORITY_CLASS)

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Look at a Pod that is made or changed, or at a class: a hook of the server's.

        Raises:
            Forbidden: There is no such class, the Pod says something else than its class, or there is a default already.
        """
        if kind is PRIORITY_CLASS and verb != "delete" and new.get("globalDefault"):
            default = self._default()
            if default is not None and (old is None or default["metadata"]["name"] != new["metadata"]["name"]):
                why = f"PriorityClass {default['metadata']['name']} is already marked as default. Only one default can exist"
                raise forbidden(kind, new, why)
        elif kind is POD and verb == "create":
            self._give(new)
        elif kind is POD and verb == "update" and old is not None:
            for key in ("priority", "preemptionPolicy"):
                if key in old["spec"]:
                    new["spec"].setdefault(key, old["spec"][key])

    def _give(self, pod: Obj) -> None:
        spec = pod["spec"]
        name = spec.get("priorityClassName") or ""
        found = self._classes.get(name) if name else self._default() or _NONE
        if found is None:
            raise forbidden(POD, pod, f"no PriorityClass with name {name} was found")
        if found["metadata"]["name"]:
            spec["priorityClassName"] = found["metadata"]["name"]
        value, policy = found["value"], found["preemptionPolicy"]
        if spec.setdefault("priority", value) != value:
            words = f"the integer value of priority ({spec['priority']}) {_COMPUTED} {value} from the given PriorityClass name"
            raise forbidden(POD, pod, words)
        if spec.setdefault("preemptionPolicy", policy) != policy:
            given = spec["preemptionPolicy"]
            words = f"the string value of PreemptionPolicy ({given}) {_COMPUTED} {policy} from the given PriorityClass name"
            raise forbidden(POD, pod, words)

    def _default(self) -> Obj | None:
        marked = [each for each in self._classes.of("") if each.get("globalDefault")]
        return min(marked, key=lambda each: each["value"], default=None)
