"""The table of kinds: one entry is all that a new kind costs.

The server routes, discovers, validates and prints from this table; clients build paths from it. A feature brings its own entries
and `app` adds them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# A Kubernetes object, list or Status: JSON as it travels. Never change one that you were given; copy first.
Obj = dict[str, Any]


class Ago(NamedTuple):
    """A cell that says when something was last: ``3 (5m ago)``.

    Attributes:
        text: What stands before.
        since: RFC 3339.
    """

    text: str
    since: str


# What may be done with an ordinary kind, in the words of discovery.
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``.

    Attributes:
        name: The heading.
        value: Makes the cell from the object and the age text of its creation.
        type: OpenAPI type of the cell; for ``date`` the value is a timestamp, which the server prints as an age, or a
            ``timedelta``, which it prints as it is (nothing for a negative one), or ``<none>``. An `Ago` may stand anywhere.
        priority: 0 is always shown, 1 only with ``-o wide``.
        description: For ``kubectl explain``-like tools.
        path: Where the cell stands in the object, such as ``.status.state``, for clusters, which know our kinds by a
            definition; a column without one is not shown there.
    """

    name: str
    value: Callable[[Obj], Any]
    type: str = "string"
    priority: int = 0
    description: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the numbers of the ``scale`` subresource stand in an object, as names of fields from the root.

    Attributes:
        wanted: How many there shall be.
        found: How many there are.
        selector: A label selector, as text or as an object, which finds them; empty where there is none.
        by_labels: Whether the selector is nothing but the labels that they have.
    """

    wanted: tuple[str, ...]
    found: tuple[str, ...]
    selector: tuple[str, ...] = ()
    by_labels: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """How a kind shows objects that lie in the log as those of another one.

    Attributes:
        of: The resource as which they lie there.
        shown: Brings one that was read into this kind's form.
        kept: Brings one of this kind back.
    """

    of: str
    shown: Callable[[Obj], Obj]
    kept: Callable[[Obj], Obj]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object and how the API serves it.

    Attributes:
        kind: ``Pod``.
        plural: ``pods``, the path segment.
        group: ``""`` for the core group.
        version: ``v1``.
        namespaced: Whether objects live in a namespace.
        short_names: For ``kubectl get po``.
        categories: For ``kubectl get all``.
        subresources: ``status``, ``log``, ``token``…; an object's main path never changes ``status`` where that is listed.
        schema: OpenAPI v3 schema of the object without ``metadata``; ``None`` serves an open object.
        verbs: What may be done with objects of this kind; a review is only created, and never stored.
        merge_keys: JSON path without indexes to the merge key of a list, for strategic merge: ``{"spec.containers": "name"}``;
            ``""`` stands for a list of plain values that is merged as a set. A list that is not named is replaced whole. Kinds
            with a `CoreSchema` need none: theirs are in the schema.
        field_selectors: Paths besides ``metadata.name`` and ``metadata.namespace`` that a field selector may use.
        counted: Whether changes of it are counted in ``metadata.generation``; where it is not said, of those with a status.
        name_faults: Says what is wrong with a name, given its field; ``None`` for names that are DNS subdomains.
        default: Fills in defaults in place, before validation. May be ``None``.
        validate: Returns the fields at fault for (new, old or None). May be ``None``.
        columns: For ``kubectl get``; NAME is added by the server, and so is AGE.
        aged: Whether AGE is added.
        singular: For ``kubectl get widget``; the kind in small letters where it is left out.
        scale: For the subresource of that name.
        prune: Takes out, in place, what the kind does not know and its schema does not say, and returns its paths.
        structural: Whether it is a user's own: its schema is `structural`, ``validate`` alone checks it, and what is stored is
            brought into this version's shape when it is read.
        storage: The version as which a user's own kind is stored; ``""`` for its only one.
        form: Where its objects are those of another kind in another form.
        deprecated: What is told, as a warning, to whoever asks for it.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    schema: Mapping[str, Any] | None = None
    merge_keys: Mapping[str, str] = field(default_factory=dict[str, str])
    field_selectors: tuple[str, ...] = ()
    counted: bool | None = None
    name_faults: "Callable[[str, str], Iterable[Any]] | None" = None
    default: Callable[[Obj], None] | None = None
    validate: "Callable[[Obj, Obj | None], list[Any]] | None" = None
    columns: tuple[Column, ...] = ()
    aged: bool = True
    singular: str = ""
    scale: Scale | None = None
    prune: "Callable[[Obj], list[str]] | None" = None
    structural: bool = False
    storage: str = ""
    form: Form | None = None
    deprecated: str = ""

    def __hash__(self) -> int:
        return hash((self.group, self.version, self.kind))  # the tables within cannot be hashed, and need not be

    @property
    def api_version(self) -> str:
        """``v1`` or ``group/version``, as objects carry it.

        Examples:
            >>> Kind("Lease", "leases", group="coordination.k8s.io").api_version
            'coordination.k8s.io/v1'
        """
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_converted(self) -> bool:
        """Whether its objects do not lie in the log as they are shown."""
        return self.structural or self.form is not None

    @property
    def resource(self) -> str:
        """``pods`` or ``leases.coordination.k8s.io``, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of a collection, an object or a subresource.

        Examples:
            >>> Kind("Pod", "pods").path("team-a", "x", "log")
            '/api/v1/namespaces/team-a/pods/x/log'
        """
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"
