"""The ReplicaSets of a Deployment, and what a pass makes of them: the newest's name and revision, and every size.

A `Rollout` is a draft: it is asked what there is, told what shall be, and gives the changes that lead there.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime

from kedge.control.apply import Change, Create, Update
from kedge.kube.apps import DEPLOYMENT, REPLICA_SET
from kedge.kube.kinds import Obj
from kedge.kube.metadata import annotations_of, is_deleting, labels_of, owner_reference, with_metadata
from kedge.kube.names import suffix_of
from kedge.workloads import replicas
from kedge.workloads.shares import DESIRED, MOST, most, new_size, total
from kedge.workloads.told import told

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
_BY = "deployment-controller"
_HASH_LENGTH = 10
_OWN = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        DESIRED,
        MOST,
    }
)


class Rollout:
    """The ReplicaSets of a Deployment, in one pass.

    Args:
        deployment: The Deployment.
        sets: Its ReplicaSets.
        taken: Names of all ReplicaSets of its namespace.
        now: The time.

    Attributes:
        deployment: The Deployment, with the revision that it shall have.
        new: The ReplicaSet of its template; ``None`` while there is none.
        old: The others.
        created: Whether ``new`` is to be made in this pass.
        collides: Whether the name of ``new`` is another's: the next pass takes another.
    """

    def __init__(self, deployment: Obj, sets: Iterable[Obj], taken: Iterable[str], now: datetime) -> None:
        self.deployment = deployment
        self._now = now
        self._taken = frozenset(taken)
        self._before = {each["metadata"]["name"]: each for each in sets}
        self._after = dict(self._before)
        self._told: list[Change] = []
        self.created = self.collides = False
        template = bare(deployment["spec"]["template"])
        same = replicas.by_age(each for each in self._before.values() if bare(each["spec"]["template"]) == template)
        self._new: str | None = same[0]["metadata"]["name"] if same else None

    @property
    def new(self) -> Obj | None:
        """The ReplicaSet of the Deployment's template."""
        return self._after[self._new] if self._new is not None else None

    @property
    def old(self) -> list[Obj]:
        """The ReplicaSets of other templates."""
        return [each for name, each in self._after.items() if name != self._new]

    @property
    def sets(self) -> list[Obj]:
        """All."""
        return list(self._after.values())

    @property
    def seen(self) -> list[Obj]:
        """All, as they were observed."""
        return list(self._before.values())

    @property
    def seen_new(self) -> Obj | None:
        """The newest, as it was observed."""
        return self._before.get(self._new or "")

    @property
    def scaled(self) -> bool:
        """Whether the Deployment was given another size since its ReplicaSets that have Pods were."""
        wanted = str(self.deployment["spec"]["replicas"])
        sizes = (annotations_of(each).get(DESIRED) for each in self.sets if each["spec"]["replicas"] and not is_deleting(each))
        return any(size is not None and size != wanted for size in sizes)

    def number(self, *, create: bool) -> None:
        """Give the newest its revision and the Deployment the same; where there is none and ``create`` says so, make it."""
        revision = max((_revision(each) for each in self.old), default=0) + 1
        if self.new is None:
            if not create:
                return
            self._make(revision)
        elif self._new is not None:
            after = with_metadata(self.new, annotations=self._annotations(self.new, revision))
            least = self.deployment["spec"].get("minReadySeconds")
            spec = {key: value for key, value in after["spec"].items() if key != "minReadySeconds"}
            self._after[self._new] = {**after, "spec": spec | ({"minReadySeconds": least} if least else {})}
        if self.new is not None:
            annotations = {**annotations_of(self.deployment), REVISION: annotations_of(self.new)[REVISION]}
            self.deployment = with_metadata(self.deployment, annotations=annotations)

    def _make(self, revision: int) -> None:
        deployment = self.deployment
        meta, spec = deployment["metadata"], deployment["spec"]
        count = (deployment.get("status") or {}).get("collisionCount") or 0
        mark = suffix_of(json.dumps([bare(spec["template"]), count], sort_keys=True), _HASH_LENGTH)
        name = f"{meta['name']}-{mark}"
        if name in self._taken:
            self.collides = True
            return
        template = spec["template"]
        labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH: mark}
        selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), HASH: mark}}
        size = new_size(deployment, self.sets, 0)
        new: Obj = {
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [owner_reference(DEPLOYMENT, deployment)],
            },
            "spec": {
                "replicas": size,
                "selector": selector,
                "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
            },
        }
        if least := spec.get("minReadySeconds"):
            new["spec"]["minReadySeconds"] = least
        new["metadata"]["annotations"] = {**self._annotations(new, revision), **self._sizes()}
        self._new, self._after[name], self.created = name, new, True
        if size:
            self._tell(f"Scaled up replica set {name} from 0 to {size}")

    def _annotations(self, each: Obj, revision: int) -> Obj:
        """Those of the Deployment, and the ReplicaSet's own."""
        own = dict(annotations_of(each))
        copied = {key: value for key, value in annotations_of(self.deployment).items() if key not in _OWN}
        before = _revision(each)
        if before < revision:
            own[REVISION] = str(revision)
            if before:
                own[HISTORY] = ",".join(filter(None, (own.get(HISTORY), str(before))))
        return {**own, **copied}

    def _sizes(self) -> Obj:
        return {DESIRED: str(self.deployment["spec"]["replicas"]), MOST: str(most(self.deployment))}

    def scale(self, each: Obj, size: int) -> bool:
        """Give a ReplicaSet a size, and note for which size of the Deployment; returns whether it is another than before."""
        name, before = each["metadata"]["name"], each["spec"]["replicas"]
        annotations = {**annotations_of(each), **self._sizes()}
        after = with_metadata(each, annotations=annotations)
        self._after[name] = {**after, "spec": {**after["spec"], "replicas": size}}
        if size == before:
            return False
        self._tell(f"Scaled {'up' if size > before else 'down'} replica set {name} from {before} to {size}")
        return True

    def _tell(self, message: str) -> None:
        self._told.append(told(DEPLOYMENT, self.deployment, ("ScalingReplicaSet", message), self._now, by=_BY))

    def changes(self) -> Iterator[Change]:
        """What leads from what was seen to the draft."""
        for name, after in self._after.items():
            before = self._before.get(name)
            if before is None:
                yield Create(REPLICA_SET, after)
            elif before != after:
                yield Update(REPLICA_SET, before, after)
        yield from self._told

    def superfluous(self) -> list[Obj]:
        """The ReplicaSets that the history has no room for, the oldest revisions first."""
        alive = [each for each in self.old if not is_deleting(each)]
        count = len(alive) - self.deployment["spec"]["revisionHistoryLimit"]
        oldest = sorted(alive, key=_revision)[: max(0, count)]
        return [each for each in oldest if not total([each]) and not _busy(each)]


def _busy(each: Obj) -> bool:
    status = each.get("status") or {}
    return bool(status.get("replicas")) or (status.get("observedGeneration") or 0) < each["metadata"]["generation"]


def _revision(each: Obj) -> int:
    text = annotations_of(each).get(REVISION) or ""
    return int(text) if text.isdecimal() else 0


def bare(template: Obj) -> Obj:
    """A template without the label that a Deployment's ReplicaSets have, and without what is empty."""
    meta = template.get("metadata") or {}
    labels = {key: value for key, value in labels_of(template).items() if key != HASH}
    rest = {key: value for key, value in {**meta, "labels": labels}.items() if value}
    return {**template, "metadata": rest}
