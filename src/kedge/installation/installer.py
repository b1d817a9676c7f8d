"""Installs, upgrades and uninstalls."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedge.client.http import HttpClient
from kedge.client.relay import check_alone
from kedge.errors import Forbidden, NotFound, StateError
from kedge.installation import applying, rollout
from kedge.installation.applying import Right, Say
from kedge.kube.clock import Clock
from kedge.kube.core import CONFIG_MAP
from kedge.kube.kinds import Kind
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.manifests import hub, kinds
from kedge.manifests.options import Options

_NUMBERS = re.compile(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)")


@dataclass(frozen=True, slots=True)
class Installed:
    """An installation as it is.

    Attributes:
        options: What it was made with.
        version: Kedge's, in it.
        replicas: Hubs that there shall be now; 0 where somebody has stopped it.
    """

    options: Options
    version: str
    replicas: int


def is_older(version: str, other: str) -> bool:
    """Whether one version of Kedge came before another.

    Examples:
        >>> is_older("0.9.1", "0.10.0"), is_older("1.0", "1.0.0"), is_older("1.0.0rc1", "1.0.0")
        (True, False, True)
    """
    return _order(version) < _order(other)


def _order(version: str) -> tuple[list[int], int, str]:
    found = _NUMBERS.match(version)
    if found is None:
        return [0, 0, 0], 0, version
    rest = found[4]
    return [int(part or 0) for part in found.group(1, 2, 3)], -1 if re.match(r"\.?(a|b|rc|dev)", rest) else 0, rest


class Installer:
    """Acts on one cluster.

    Args:
        client: Speaks to it, as its user.
        served: The kinds that the hub needs the cluster to serve.
        clock: For waiting.
        say: Tells of progress.
        seconds: How long to wait for each thing.
    """

    def __init__(self, client: HttpClient, served: Sequence[Kind], *, clock: Clock, say: Say, seconds: float) -> None:
        self._client = client
        self._served = tuple(served)
        self._clock = clock
        self._say = say
        self._seconds = seconds

    async def found(self, namespace: str) -> Installed | None:
        """What is installed in a namespace.

        Raises:
            StateError: Somebody else manages it, such as Helm.
            Forbidden: We may not even look; names what else we may not do that an installation takes.
        """
        try:
            deployment = await self._client.get(kinds.DEPLOYMENT, hub.NAME, namespace)
        except NotFound:
            return None
        except Forbidden:
            usual = hub.objects(Options(namespace, "", "", ""), self._served)
            await applying.check_rights(self._client, applying.rights_to_apply(usual), f"kedge, in namespace {namespace}")
            raise
        labels = deployment["metadata"].get("labels") or {}
        if labels.get(INSTALLED_LABEL) != namespace:
            return None
        if (manager := labels.get("app.kubernetes.io/managed-by")) != hub.NAME:
            raise StateError(
                f"Deployment {namespace}/{hub.NAME} is managed by {manager}. Change it by that, or uninstall it there."
            )
        options = Options.read((deployment["metadata"].get("annotations") or {}).get(hub.OPTIONS_ANNOTATION, ""))
        return Installed(options, labels.get(hub.VERSION_LABEL, options.version), deployment["spec"].get("replicas", 1))

    async def install(self, options: Options, *, create_namespace: bool = False, wait: bool = True) -> None:
        """Put Kedge into a namespace, or give what is there other options.

        Raises:
            StateError: Another version is there, or another hub, or it does not get ready.
            Forbidden: A right is missing; nothing was done.
        """
        options.checked()
        there = await self.found(options.namespace)
        if there is not None and there.version != options.version:
            raise StateError(
                f"namespace {options.namespace} has Kedge {there.version}, and this is {options.version}. Run kedge upgrade, or "
                "install into another namespace."
            )
        if there is not None:
            _check_database(options, there, "an installation")
        places = list(dict.fromkeys([options.namespace, *(() if options.everywhere else options.watched)]))
        await applying.ensure_namespaces(self._client, places, create=create_namespace, say=self._say)
        await self._check(options, there, "kedge install")
        await self._put(options, there)
        if wait:
            await self._wait(options.namespace)

    async def upgrade(self, namespace: str, version: str, changes: Mapping[str, Any], *, wait: bool = True) -> Options:
        """Bring an installation to this version: the database first, then everything else.

        The hub stands still meanwhile; steps go on, and tell it of their ends when it is back.

        Args:
            namespace: The hub's.
            version: Kedge's, in the new image.
            changes: Options that shall be other than before; ``None`` leaves one.
            wait: Until the new hub is ready.

        Raises:
            StateError: Nothing is installed, a newer version is, another hub is there, or the database cannot be brought to this
                version: what was there before runs on.
            Forbidden: A right is missing; nothing was done.
        """
        there = await self._present(namespace, "upgrade")
        if is_older(version, there.version):
            raise StateError(
                f"namespace {namespace} has Kedge {there.version}, newer than this one, {version}, which cannot read "
                f"its database. Upgrade with Kedge {there.version} or newer; a step back is a restore of a backup."
            )
        options = there.options.changed(**changes, version=version).checked()
        _check_database(options, there, "an upgrade")
        await self._check(options, there, "kedge upgrade", Right("create", kinds.JOB, namespace))
        await self._migrate(options, there)
        await self._put(options, there)
        if wait:
            await self._wait(namespace)
        return options

    async def _present(self, namespace: str, verb: str) -> Installed:
        there = await self.found(namespace)
        if there is None:
            raise StateError(
                f"namespace {namespace} has no Kedge to {verb}. Name the one that has (--namespace), or run kedge install."
            )
        return there

    async def _check(self, options: Options, there: Installed | None, command: str, *more: Right) -> None:
        """See that we may do it all, and that no laptop's hub works where this one is to: before anything is done."""
        watched = [""] if options.everywhere else options.watched
        rights = [*applying.rights_to_apply(hub.objects(options, self._served)), *_deletions(self._places(options, there)), *more]
        rights += [Right("list", CONFIG_MAP, namespace) for namespace in watched]
        await applying.check_rights(self._client, rights, command)
        await check_alone(self._client, [namespace or None for namespace in watched])

    async def _put(self, options: Options, there: Installed | None) -> None:
        wanted = hub.objects(options, self._served)
        places = self._places(options, there)
        await applying.apply(self._client, wanted, self._say)
        if there is not None:
            await applying.prune(self._client, wanted, await applying.owned(self._client, options.namespace, places), self._say)

    def _places(self, options: Options, there: Installed | None) -> list[str]:
        """The namespaces that may hold something of the installation."""
        both = [options] if there is None else [options, there.options]
        names = [options.namespace, *(name for one in both if not one.everywhere for name in one.watched)]
        return list(dict.fromkeys(names))

    async def _wait(self, namespace: str) -> None:
        await rollout.available(self._client, self._clock, namespace, hub.NAME, seconds=self._seconds, say=self._say)

    async def _migrate(self, options: Options, there: Installed) -> None:
        """Bring the database to the new version while nobody uses it; back to the old hub when that fails."""
        namespace = options.namespace
        await self._scale(namespace, 0)
        try:
            await rollout.gone(self._client, self._clock, namespace, hub.PODS, seconds=self._seconds)
            words = await self._run_migration(options)
        except BaseException:
            await self._scale(namespace, there.replicas)
            raise
        self._say(words or "The database is at the version of the image")

    async def _run_migration(self, options: Options) -> str:
        job = hub.migration(options)
        name, namespace = job["metadata"]["name"], options.namespace
        await self._remove_job(name, namespace)
        await self._client.create(kinds.JOB, job)
        try:
            return await rollout.completed(self._client, self._clock, namespace, name, seconds=self._seconds)
        except StateError as error:
            raise StateError(f"the database was not migrated, and the hub of before goes on: {error}") from error
        finally:
            await self._remove_job(name, namespace)

    async def _remove_job(self, name: str, namespace: str) -> None:
        try:
            await self._client.delete(kinds.JOB, name, namespace)
        except NotFound:
            return
        await rollout.gone(self._client, self._clock, namespace, f"batch.kubernetes.io/job-name={name}", seconds=self._seconds)

    async def _scale(self, namespace: str, replicas: int) -> None:
        await self._client.patch(kinds.DEPLOYMENT, hub.NAME, namespace, {"spec": {"replicas": replicas}})


def _check_database(options: Options, there: Installed, what: str) -> None:
    if options.database_secret != there.options.database_secret:
        raise StateError(
            f"--database-secret: {what} does not move the history to another database. Export what you need "
            "(kedge runs export), uninstall, and install anew."
        )


def _deletions(places: Sequence[str]) -> list[Right]:
    return [Right("delete", kind, place) for place in places for kind in kinds.PRUNED if kind.namespaced]


def rights_to_uninstall(places: Sequence[str], *, everywhere: bool) -> list[Right]:
    """What must be allowed to delete what an installation consists of, in namespaces and, for all of them, in the cluster."""
    found = [*_deletions(places), *(Right("list", kind, place) for place in places for kind in kinds.PRUNED if kind.namespaced)]
    if everywhere:
        found += [Right(verb, kind) for kind in kinds.PRUNED if not kind.namespaced for verb in ("list", "delete")]
    return found
