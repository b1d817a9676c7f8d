"""The hub's half of staging: a step asks what it is to do, and says what it did.

``begin`` hands a Pod its inputs and the grants to move them; ``commit`` records its outputs. *What is not committed did not
happen.* Both name the Pod's UID and are answered only for the Pod that the bearer token is bound to, so that a step can reach
nothing but its own files. ``docs/staging.md`` describes every field.

The parts are plugged together here and know nothing of each other: a `Verifier` says which Pod a token belongs to, a `Backend`
(a feature) says what that Pod is to do, the `ArtifactStore` says how bytes may be moved.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

PROTOCOLS = (1,)  # versions that are understood; Pods outlive upgrades, so N-1 stays here when N comes


class PodIdentity(msgspec.Struct, frozen=True):
    """The Pod that a token is bound to."""

    namespace: str
    name: str
    uid: str


class Assignment(msgspec.Struct, frozen=True):
    """What one Pod is to do.

    Attributes:
        executor_input: Kubeflow's ExecutorInput (camelCase JSON): parameter values, input artifacts with their addresses, and for
            every output where it goes. Grants are made for exactly the addresses in it.
        project: Digest of the project code that the step imports, or ``""``.
    """

    executor_input: dict[str, Any]
    project: str = ""


class StoredArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One artifact that a step made, as it says so itself.

    Attributes:
        name: The output's name.
        uri: Where it lies.
        type: Schema title, such as ``system.Model``.
        metadata: What the step logged about it.
        digest: ``sha256:<hex>`` of the content (of the manifest, for a folder); ``""`` when the step wrote none.
        size: Bytes; ``None`` when the step wrote none.
    """

    name: str
    uri: str
    type: str = "system.Artifact"
    metadata: dict[str, Any] = {}
    digest: str = ""
    size: int | None = None


class StagedOutputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that one attempt produced.

    Attributes:
        parameters: JSON values by output name.
        artifacts: By output name; always lists, in the order in which the step listed them.
    """

    parameters: Mapping[str, Any] = {}
    artifacts: Mapping[str, Sequence[StoredArtifact]] = {}


class Verifier(Protocol):
    """Knows whose token it is."""

    async def verify(self, token: str) -> PodIdentity:
        """Say which Pod a bearer token is bound to.

        Raises:
            Unauthorized: It is not known, is over, is for another audience than ``kedge``, or is bound to no living Pod.
        """
        ...


class Backend(Protocol):
    """Knows what a Pod is to do, and records what it did. Called on the event loop."""

    async def begin(self, pod_uid: str) -> Assignment:
        """Say what the Pod is to do. May be asked any number of times.

        Raises:
            Conflict: This Pod is not wanted any more, or never was one of ours.
        """
        ...

    async def commit(self, pod_uid: str, outputs: StagedOutputs) -> None:
        """Record the outputs. The second time with the same Pod changes nothing and is no error.

        Raises:
            Conflict: This attempt is not wanted any more (cancelled, or another took its place).
            Invalid: An output does not fit its declaration; the message names it and both types. This is the user's failure.
        """
        ...
