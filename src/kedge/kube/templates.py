"""Templates of Pods, as those hold them that make Pods, and the selectors beside them.

The rules of a template's spec are those of a Pod's, told at the place where the template stands; the sentences are those of
Kubernetes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults
from kedge.kube.kinds import Obj
from kedge.kube.pod_rules import spec_faults
from kedge.kube.pods import default_spec
from kedge.kube.selectors import from_label_selector, label_predicate

TEMPLATE = "spec.template"
_SELECTOR = "spec.selector"


def default_template(owner: Obj) -> None:
    """Fill in the defaults of ``template`` of a spec, in place."""
    template = owner.get("template")
    if isinstance(template, dict):
        template.setdefault("metadata", {})
        if isinstance(spec := template.get("spec"), dict):
            default_spec(spec)


def template_faults(template: Obj, path: str) -> Iterator[Cause]:
    """What is wrong with a template of Pods.

    Args:
        template: The template.
        path: Where it stands.
    """
    spec, meta = template.get("spec") or {}, template.get("metadata") or {}
    yield from faults.labels(f"{path}.labels", meta.get("labels"))
    yield from faults.annotations(f"{path}.annotations", meta.get("annotations"))
    yield from spec_faults(spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        yield faults.forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template")


def keeper_faults(spec: Obj, kind: str, extra: Mapping[str, Obj] | None = None) -> Iterator[Cause]:
    """What is wrong with the selector and the template of a controller that keeps its Pods running.

    Args:
        spec: The controller's spec.
        kind: What messages call the owner of the Pods, ``ReplicaSet``, ``StatefulSet`` or ``DaemonSet``.
        extra: Volumes by name that the Pods get besides those of the template.
    """
    template = spec.get("template") or {}
    selector = spec.get("selector")
    found = list(selector_faults(selector, kind))
    yield from found
    # Of a DaemonSet's selector Kubernetes asks less: one that is missing is told as one that does not match.
    labels = (template.get("metadata") or {}).get("labels")
    if (selector is None or not found) and not _selects(selector, labels):
        yield faults.invalid(f"{TEMPLATE}.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from running_faults(template, kind, extra)


def running_faults(template: Obj, kind: str, extra: Mapping[str, Obj] | None = None) -> Iterator[Cause]:
    """What is wrong with a template whose Pods are to run for ever.

    Args:
        template: The template, at ``spec.template``.
        kind: What messages call the owner of the Pods.
        extra: Volumes by name that the Pods get besides those of the template.
    """
    pod = template.get("spec") or {}
    if extra:
        own = [each for each in pod.get("volumes") or () if each.get("name") not in extra]
        pod = {**pod, "volumes": [*own, *extra.values()]}
    yield from template_faults({**template, "spec": pod}, TEMPLATE)
    if pod.get("restartPolicy") in {"OnFailure", "Never"}:
        yield faults.unsupported(f"{TEMPLATE}.spec.restartPolicy", pod["restartPolicy"], ("Always",))
    if pod.get("activeDeadlineSeconds") is not None:
        yield faults.forbidden(f"{TEMPLATE}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")


def _selects(selector: Any, labels: Any) -> bool:
    if not isinstance(selector, dict):
        return False
    return label_predicate(from_label_selector(selector))({"metadata": {"labels": labels}})


def selector_faults(selector: Any, kind: str) -> Iterator[Cause]:
    """What is wrong with the selector of a controller.

    Args:
        selector: The LabelSelector.
        kind: Whose Pods they are, ``ReplicaSet``, ``StatefulSet`` or ``DaemonSet``.
    """
    if selector is None:
        if kind != "DaemonSet":
            yield faults.required(_SELECTOR)
        return
    if not selector:
        # A ReplicaSet's own message names the Deployment, on a real API server too.
        owner = "deployment" if kind == "ReplicaSet" else kind.lower()
        yield faults.invalid(_SELECTOR, {}, f"empty selector is invalid for {owner}")
        return
    found = list(faults.selector(_SELECTOR, selector))
    yield from found
    if found and kind != "DaemonSet":
        ordered = {key: selector[key] for key in ("matchLabels", "matchExpressions") if selector.get(key)}
        yield faults.invalid(_SELECTOR, ordered, "invalid label selector" if kind == "ReplicaSet" else "")
