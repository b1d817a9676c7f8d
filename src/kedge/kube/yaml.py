"""YAML that Kubernetes' tools read as it was meant: they take more texts for truth values and numbers than PyYAML does."""

import re
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_Fastest: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Dumper(_Fastest):  # pyright: ignore[reportUntypedBaseClass]  # which of them is known at run time
    """Puts quotes around texts that Go's YAML would read as truth values or numbers, such as ``n`` and ``1e3``."""


# What a text resolves to when it is written without quotes decides whether it gets them.
Dumper.add_implicit_resolver(f"{_TAG}bool", re.compile("[yYnN]$"), list("yYnN"))
Dumper.add_implicit_resolver(
    f"{_TAG}float", re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$"), list("-+.0123456789")
)
Dumper.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?0o[0-7_]+$"), list("-+0"))


def write(*objects: Any) -> str:
    """Some objects as documents of one file, their keys in the order that they have."""
    text: str = yaml.dump_all(objects, Dumper=Dumper, sort_keys=False, width=1000, allow_unicode=True)
    return text
