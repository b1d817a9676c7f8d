"""Takes an installation away: everything but what holds data, and that too where it is wanted."""

from collections.abc import Sequence

from kedge.client.http import HttpClient
from kedge.client.types import pages
from kedge.errors import Forbidden, NotFound, StateError
from kedge.installation import applying, rollout
from kedge.installation.applying import Right, Say
from kedge.installation.installer import Installer, rights_to_uninstall
from kedge.kube.clock import Clock
from kedge.kube.core import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM, POD
from kedge.kube.crds import CRD
from kedge.kube.kinds import Kind, Obj
from kedge.kube.metadata import INSTALLED_LABEL
from kedge.manifests import hub, kinds

_RUN_PODS = "kedge.dev/run"
_OURS = "app.kubernetes.io/managed-by=kedge"


class Removal:
    """Uninstalls Kedge from one namespace.

    Args:
        client: Speaks to the cluster, as its user.
        served: The kinds that the cluster serves for us.
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
        self._installer = Installer(client, served, clock=clock, say=say, seconds=seconds)

    async def uninstall(self, namespace: str, *, delete_data: bool) -> None:
        """Delete what `kedge install` made.

        Args:
            namespace: The hub's.
            delete_data: Also the Runs of the hub's namespaces, with what they own, the claim with the history, and the kinds'
                definitions where nobody has objects of them any more. What lies in a database or in an object store stays.

        Raises:
            StateError: Nothing is installed.
            Forbidden: A right is missing; nothing was done.
        """
        there = await self._installer.found(namespace)
        if there is None:
            leftover = await applying.owned(self._client, namespace, [namespace])
            if not leftover and not delete_data:
                raise StateError(f"namespace {namespace} has no Kedge to uninstall. Name the one that has (--namespace).")
            places, everywhere = [namespace], False
        else:
            everywhere = there.options.everywhere
            places = list(dict.fromkeys([namespace, *(() if everywhere else there.options.watched)]))
        watched = [None] if everywhere else [*(there.options.watched if there else (namespace,))]
        rights = [*rights_to_uninstall(places, everywhere=everywhere), *self._rights(namespace, watched, delete_data=delete_data)]
        await applying.check_rights(self._client, rights, "kedge uninstall")
        for kind, obj in await applying.owned(self._client, namespace, places):
            await applying.delete(self._client, kind, obj, self._say)
        await rollout.gone(self._client, self._clock, namespace, hub.PODS, seconds=self._seconds)
        for place in watched:
            await self._remove_launchers(place, delete_data=delete_data)
        if delete_data:
            await self._delete_data(namespace, watched)
        else:
            await self._tell_what_stays(namespace, watched)

    def _rights(self, namespace: str, watched: Sequence[str | None], *, delete_data: bool) -> list[Right]:
        """What must be allowed besides, for what runs have left."""
        found = [Right("list", POD, namespace), Right("list", PERSISTENT_VOLUME_CLAIM, namespace)]
        for place in (each or "" for each in watched):
            found += [Right("list", POD, place), Right("list", CONFIG_MAP, place), Right("delete", CONFIG_MAP, place)]
            if delete_data:
                found += [Right(verb, kind, place) for kind in (*self._served, POD) for verb in ("list", "delete", "patch")]
        if delete_data:
            found.append(Right("delete", PERSISTENT_VOLUME_CLAIM, namespace))
        return found

    async def _remove_launchers(self, namespace: str | None, *, delete_data: bool) -> None:
        """ConfigMaps that belong to no run: the launcher. Steps that still run have it mounted, and so keep it."""
        if not delete_data and await self._unfinished(namespace):
            return
        async for page in pages(self._client, CONFIG_MAP, namespace, labels=_OURS):
            for obj in page.items:
                if not obj["metadata"].get("ownerReferences"):
                    await applying.delete(self._client, CONFIG_MAP, obj, self._say)

    async def _unfinished(self, namespace: str | None) -> list[Obj]:
        """Pods whose result nobody has recorded."""
        pods = (await self._client.list(POD, namespace, labels=f"{_RUN_PODS},!kedge.dev/recorded")).items
        return [pod for pod in pods if pod["metadata"].get("finalizers")]

    async def _tell_what_stays(self, namespace: str, watched: Sequence[str | None]) -> None:
        for place in watched:
            if pods := await self._unfinished(place):
                names = ", ".join(pod["metadata"]["name"] for pod in pods[:5])
                self._say(
                    f"{len(pods)} Pods of runs go on ({names}{', …' if len(pods) > 5 else ''}): kedge install takes them "
                    "up again, --delete-data ends them"
                )
        claims = await self._client.list(PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{INSTALLED_LABEL}={namespace}")
        kept = ["the Runs", *(f"the claim {one['metadata']['name']}" for one in claims.items), "the kinds' definitions"]
        self._say(f"Kept: {', '.join(kept)} (--delete-data deletes them), and what lies in databases and object stores")

    # ---- data

    async def _delete_data(self, namespace: str, watched: Sequence[str | None]) -> None:
        for place in watched:
            for kind in self._served:
                await self._delete_all(kind, place, "")
            await self._delete_all(POD, place, _RUN_PODS)
        await self._delete_all(PERSISTENT_VOLUME_CLAIM, namespace, f"{INSTALLED_LABEL}={namespace}")
        for kind in self._served:
            await self._delete_definition(kind)

    async def _delete_all(self, kind: Kind, namespace: str | None, labels: str) -> None:
        """Delete objects, and let go of them in the place of the hub that cannot any more."""
        count = 0
        try:
            async for page in pages(self._client, kind, namespace, labels=labels):
                for obj in page.items:
                    await self._delete_held(kind, obj)
                    count += 1
        except NotFound:
            return  # the cluster does not serve the kind
        if count:
            self._say(f"{count} {kind.resource} deleted{f' in {namespace}' if namespace else ''}")

    async def _delete_held(self, kind: Kind, obj: Obj) -> None:
        meta = obj["metadata"]
        where = meta["name"], meta.get("namespace")
        try:
            await self._client.delete(kind, *where, uid=meta["uid"])
            ours = [name for name in meta.get("finalizers") or () if name.startswith("kedge.dev/")]
            if ours:
                rest = [name for name in meta["finalizers"] if name not in ours]
                await self._client.patch(kind, *where, {"metadata": {"finalizers": rest or None}})
        except NotFound:
            return

    async def _delete_definition(self, kind: Kind) -> None:
        """Let the cluster forget a kind, where nobody has objects of it, nor another Kedge to make some."""
        try:
            others = (await self._client.list(kinds.DEPLOYMENT, labels=INSTALLED_LABEL)).items
            left = (await self._client.list(kind, limit=1)).items
            if others or left:
                whose = others[0] if others else left[0]
                self._say(
                    f"CustomResourceDefinition {kind.resource} kept: {applying.place({'kind': 'used by', **whose})} needs it"
                )
                return
            found = await self._client.get(CRD, kind.resource)
            await applying.delete(self._client, CRD, found, self._say)
        except Forbidden as error:
            self._say(f"CustomResourceDefinition {kind.resource} kept: {error.message}")
        except NotFound:
            return
