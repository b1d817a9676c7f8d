"""Which of a group's versions comes before which."""

import re

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?")


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sorts versions as Kubernetes does: stable before beta before alpha, newer before older, others last and by name.

    Examples:
        >>> sorted(["v1alpha1", "v1", "v2beta1", "v10", "foo"], key=version_order)
        ['v10', 'v1', 'v2beta1', 'v1alpha1', 'foo']
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        return 3, 0, 0, version
    return {None: 0, "beta": 1, "alpha": 2}[found[2]], -int(found[1]), -int(found[3] or 0), version
