"""What the files of a volume may be called: keys of ConfigMaps and Secrets, and the paths that a Pod gives them.

A node writes them with its own rights, so that nothing may lead out of the volume.
"""

import re
from collections.abc import Iterator
from typing import Any

from kedge.errors import Cause
from kedge.kube import faults

_KEY = "[-._a-zA-Z0-9]+"
_IS_KEY = re.compile(_KEY)
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_KEY}')"
)
_LONGEST_KEY = 253


def key_faults(field: str, key: str) -> Iterator[Cause]:
    """The faults of a key of a ConfigMap or a Secret.

    Examples:
        >>> [fault.field for fault in key_faults("data[..]", "..")]
        ['data[..]']
    """
    if len(key) > _LONGEST_KEY:
        yield faults.invalid(field, key, f"must be no more than {_LONGEST_KEY} characters")
    if not _IS_KEY.fullmatch(key):
        yield faults.invalid(field, key, _KEY_RULE)
    if key in {".", ".."}:
        yield faults.invalid(field, key, f"must not be '{key}'")
    elif key.startswith(".."):
        yield faults.invalid(field, key, "must not start with '..'")


def path_faults(field: str, path: Any) -> Iterator[Cause]:
    """The faults of the path of a file in a volume."""
    if not isinstance(path, str) or not path:
        yield faults.required(field)
        return
    if path.startswith("/"):
        yield faults.invalid(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield faults.invalid(field, path, "must not contain '..'")
    elif path.startswith(".."):
        yield faults.invalid(field, path, "must not start with '..'")
