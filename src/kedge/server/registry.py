"""The kinds that a server serves, found by path, and by group for discovery."""

from collections.abc import Iterable, Iterator

from kedge.errors import NotFound
from kedge.kube.kinds import Kind


class Registry:
    """A table of kinds.

    Args:
        kinds: What is served; a group, version and plural name one kind.
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._groups: dict[str, dict[str, list[Kind]]] = {}
        for kind in kinds:
            self._by_path[kind.group, kind.version, kind.plural] = kind
            self._groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)

    def __iter__(self) -> Iterator[Kind]:
        """Every kind, in the order of the table."""
        return iter(self._by_path.values())

    def find(self, group: str, version: str, plural: str) -> Kind:
        """The kind behind a path.

        Raises:
            NotFound: Nothing of that name is served; says what `kubectl api-resources` would.
        """
        kind = self._by_path.get((group, version, plural))
        if kind is None:
            place = f"{group}/{version}" if group else version
            raise NotFound(
                f"the server does not have a resource {plural!r} in {place}. `kubectl api-resources` lists what it has; "
                "the rest of Kubernetes is served by a cluster."
            )
        return kind

    @property
    def groups(self) -> dict[str, dict[str, list[Kind]]]:
        """Kinds by group and version."""
        return self._groups

    def versions(self, group: str) -> list[str]:
        """The versions of a group, best first; empty for an unknown group."""
        return list(self._groups.get(group, {}))

    def of(self, group: str, version: str) -> list[Kind]:
        """The kinds of one group and version.

        Raises:
            NotFound: There are none.
        """
        kinds = self._groups.get(group, {}).get(version)
        if kinds is None:
            raise NotFound(f"the server does not have the API group {group or 'core'!r} in version {version!r}.")
        return kinds
