"""The kinds that a server serves, found by path, and by group for discovery."""

from collections.abc import Iterable, Iterator

from kedge.errors import NotFound
from kedge.kube.kinds import Kind
from kedge.kube.versions import version_order

NOT_THERE = "the server could not find the requested resource"
NOT_ALLOWED = "the server does not allow this method on the requested resource"
"""How messages of these begin: clients know them by it, as they come from a real API server."""


class Registry:
    """A table of kinds: those that are built in, and those that users define meanwhile.

    Args:
        kinds: What is built in; a group, version and plural name one kind.

    Attributes:
        state: Another number after each change, for who keeps what was made of the table.
    """

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self.built_in = tuple(kinds)
        self.state = 0
        self._defined: dict[str, tuple[Kind, ...]] = {}
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._groups: dict[str, dict[str, list[Kind]]] = {}
        self._fill()

    def define(self, name: str, kinds: tuple[Kind, ...]) -> None:
        """Serve what a definition says, instead of what it said before.

        Args:
            name: The definition's.
            kinds: None takes it away.
        """
        if kinds:
            self._defined[name] = kinds
        elif self._defined.pop(name, None) is None:
            return
        self.state += 1
        self._fill()

    def _fill(self) -> None:
        self._by_path, self._groups = {}, {}
        for kind in (*self.built_in, *(kind for kinds in self._defined.values() for kind in kinds)):
            self._by_path[kind.group, kind.version, kind.plural] = kind
            self._groups.setdefault(kind.group, {}).setdefault(kind.version, []).append(kind)
        for group in {kind.group for kinds in self._defined.values() for kind in kinds}:
            self._groups[group] = dict(sorted(self._groups[group].items(), key=lambda each: version_order(each[0])))

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
            raise NotFound(f"{NOT_THERE}: there are no {plural!r} in {place}. `kubectl api-resources` lists what it has.")
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
            raise NotFound(f"{NOT_THERE}: there is no API group {group or 'core'!r} in version {version!r}.")
        return kinds
