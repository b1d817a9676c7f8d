"""Admission of Pods by their service account, which gives them access to the API: Kubernetes' admission plugin ServiceAccount."""

from collections.abc import Callable

from kedge.kube import service_accounts
from kedge.kube.clock import Ids
from kedge.kube.core import POD, SERVICE_ACCOUNT
from kedge.kube.kinds import Kind, Obj
from kedge.kube.pods import MIRROR
from kedge.server.api import Api
from kedge.server.held import Held
from kedge.server.nodes import named
from kedge.server.refusing import forbidden
from kedge.store.types import Store

_SUFFIX = 5


class Accounts:
    """Hook of the server's that gives Pods what their account says.

    Args:
        api: The server, where a default account that is not there yet is made: its namespace may be moments old.
        store: Its store.
        ids: Names of volumes.
        sparing: Says of a Pod that it gets access only where that is asked for: by the Pod, by its account, or by being of an
            account of its own.
    """

    def __init__(self, api: Api, store: Store, ids: Ids, *, sparing: Callable[[Obj], bool] = lambda _: False) -> None:
        self._api = api
        self._accounts = Held(store, SERVICE_ACCOUNT)
        self._ids = ids
        self._sparing = sparing

    def admit(self, verb: str, kind: Kind, new: Obj, old: Obj | None) -> None:
        """Look at a Pod that is made: a hook of the server's.

        Raises:
            Forbidden: There is no such account; or the Pod stands for a file of its node, and names what such a Pod may not have.
        """
        if kind is not POD or verb != "create" or old is not None:
            return
        if MIRROR in (new["metadata"].get("annotations") or {}):
            _check_mirror(new)
            return
        spec, account = new["spec"], self._account(new)
        if self._is_mounted(account, new):
            service_accounts.mount(new, self._ids.suffix(_SUFFIX))
        if not spec.get("imagePullSecrets") and (secrets := account.get("imagePullSecrets")):
            spec["imagePullSecrets"] = [{"name": each.get("name", "")} for each in secrets]

    def _account(self, pod: Obj) -> Obj:
        namespace, name = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
        found = self._accounts.get(name, namespace)
        if found is None and name == service_accounts.DEFAULT:
            found = self._api.create(SERVICE_ACCOUNT, {"metadata": {"name": name, "namespace": namespace}})
        if found is None:
            why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
            raise forbidden(POD, pod, why)
        return found

    def _is_mounted(self, account: Obj, pod: Obj) -> bool:
        said = service_accounts.asked_for(account, pod)
        if said is None:
            return account["metadata"]["name"] != service_accounts.DEFAULT or not self._sparing(pod)
        return said


def _check_mirror(pod: Obj) -> None:
    """Refuse what a Pod that stands for a file of its node may not name: whoever writes that file is not asked for rights."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise forbidden(POD, pod, "a mirror pod may not reference service accounts")
    if any(plural == "secrets" for plural, _ in named(spec)):
        raise forbidden(POD, pod, "a mirror pod may not reference secrets")
    sources = [each for volume in spec.get("volumes") or () for each in (volume.get("projected") or {}).get("sources") or ()]
    if any("serviceAccountToken" in each for each in sources):
        raise forbidden(POD, pod, "a mirror pod may not use ServiceAccountToken volume projections")
