"""What it means when the API server does not take an object of a step: whose fault that is, or that it will take it later.

A Kubernetes API server says almost all of it with one code, 403; only the sentence tells a namespace whose quota is used up (a
Pod that ends makes room) from a policy that will never let this Pod in.
"""

import re
from dataclasses import dataclass

from kedge.errors import ApiError, BadRequest, Forbidden, Invalid, TooLarge
from kedge.pipelines.engine.types import Failure

# 'pods "train-1" is forbidden: ' says nothing that the rest does not.
_PREFIX = re.compile(r'^[a-z.]+( "[^"]*")? is forbidden: ')
_QUOTA = re.compile(r"exceeded quota: |status unknown for quota: ")
# What another try cannot change: somebody must change the step, or the rule that it breaks.
_RULES = (
    re.compile(r"failed quota: "),  # the quota counts something that the step does not state
    re.compile(r"(maximum|minimum) .* usage per |max limit to request ratio "),  # a LimitRange
    re.compile(r"violates PodSecurity "),
    re.compile(r"admission webhook .* denied the request"),
    re.compile(r"ValidatingAdmissionPolicy .* denied request"),
    re.compile(r"no PriorityClass with name|RuntimeClass .* not found"),
)


@dataclass(frozen=True, slots=True)
class Held:
    """It will be taken later; nobody failed, so no attempt is used up.

    Attributes:
        message: What it waits for, for people who look at the task.
    """

    message: str


def of(error: ApiError, thing: str = "Pod") -> Failure | Held:
    """Say what a refusal means.

    Args:
        error: What the API server answered.
        thing: What was refused: ``Pod``, ``Claim`` or ``ConfigMap``; the failure's reason begins with it.

    Examples:
        >>> of(Forbidden('pods "a" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1'))
        Held(message="its namespace's quota is used up: few, requested: pods=1, used: pods=1, limited: pods=1")
    """
    said = _PREFIX.sub("", str(error))
    if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
        return Held("its namespace is being deleted")
    if (found := _QUOTA.search(said)) is not None:
        return Held(f"its namespace's quota is used up: {said[found.end() :]}")
    whose = f"The step's {thing}"
    if isinstance(error, Invalid | BadRequest | TooLarge):
        return Failure("user", f"{thing}Refused", f"{whose} was refused: {error}", final=True)
    if isinstance(error, Forbidden) and any(rule.search(said) for rule in _RULES):
        return Failure("user", f"{thing}Refused", f"{whose} was refused: {said}", final=True)
    return Failure("infra", f"{thing}Forbidden", f"{whose} was refused: {error}")
