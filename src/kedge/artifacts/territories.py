"""Where each namespace's artifacts may lie, on a cluster whose namespaces share one object store and the hub's credentials.

Below the hub's root each namespace has a folder of its own, ``<root>/<namespace>/…``, and what lies in another's is neither
read nor written for it, whatever a pipeline's root, an importer, a step or a file says. So is what lies around the root, because
it holds all of them. Elsewhere is nobody's: what the hub's credentials reach there, every namespace may use, so give the hub no
credentials for more than that.
"""

import re

from kedge.artifacts.uris import REMOTE_SCHEMES, scheme
from kedge.errors import Invalid

_FAMILIES = {"minio": "s3", "abfs": "az"}  # two words for one store
_BUCKET = re.compile(r"[A-Za-z0-9._-]+(@[A-Za-z0-9._-]+)?")


class Territories:
    """Knows whose an address is.

    Args:
        root: The address below which artifacts go.
        divided: Whether namespaces are kept apart: on a cluster, not on the embedded host, which has one user.
    """

    def __init__(self, root: str, *, divided: bool) -> None:
        self._root = root
        self._divided = divided
        self._place = _place(root) if divided else None
        if divided and (self._place is None or not _is_remote(root)):
            raise Invalid(f"KEDGE_ARTIFACTS: {root} is no place in an object store, such as s3://bucket/prefix. Name one.")

    def root(self, namespace: str) -> str:
        """The address below which a namespace's artifacts go."""
        return f"{self._root}/{namespace}" if self._divided else self._root

    def fault(self, uri: str, namespace: str) -> str:
        """Why an address is none that a namespace may use, or ``""``.

        Examples:
            >>> both = Territories("s3://bucket/kedge", divided=True)
            >>> both.fault("s3://bucket/kedge/team-a/model", "team-a"), both.fault("s3://public/data", "team-a")
            ('', '')
            >>> both.fault("s3://bucket/kedge/team-b/model", "team-a").partition(",")[0]
            "s3://bucket/kedge/team-b/model belongs to another namespace than 'team-a'"
        """
        if self._place is None or not _is_remote(uri):
            return ""
        place = _place(uri)
        if place is None:
            return f"{uri} is not written plainly: name a bucket, and a key without empty parts, '.' and '..'"
        own = (*self._place, namespace)
        if place[: len(own)] == own:
            return ""
        common = min(len(place), len(self._place))
        if place[:common] != self._place[:common]:
            return ""
        return f"{uri} belongs to another namespace than {namespace!r}, whose artifacts lie below {self.root(namespace)}/"


def _is_remote(uri: str) -> bool:
    try:
        return scheme(uri) in REMOTE_SCHEMES
    except Invalid:
        return False


def _place(uri: str) -> tuple[str, ...] | None:
    """The parts of an address, the same however it is written; ``None`` where it is not clear what it names."""
    kind, _, rest = uri.partition("://")
    bucket, *parts = rest.removesuffix("/").split("/")
    if not _BUCKET.fullmatch(bucket) or any(part in {"", ".", ".."} or "\0" in part for part in parts):
        return None
    return (_FAMILIES.get(kind, kind), bucket.partition("@")[0].lower(), *parts)
