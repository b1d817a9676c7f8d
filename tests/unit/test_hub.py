"""What a hub asks of a cluster before it begins."""

from typing import Any

import pytest

from kedge.errors import Unauthorized, UnsupportedError
from kedge.hub import _check_cluster
from kedge.relayed import check_address
from kedge.server.auth import OwnerToken


class OfVersion:
    """Of a client, what the check asks: what the cluster's ``/version`` says."""

    def __init__(self, minor: str) -> None:
        self._minor = minor

    async def version(self) -> dict[str, Any]:
        return {"major": "1", "minor": self._minor, "gitVersion": f"v1.{self._minor}.0"}


@pytest.mark.parametrize("minor", ["29", "36", "29+", "100"])
async def test_a_cluster_whose_pods_have_sidecars_will_do(minor: str) -> None:
    await _check_cluster(OfVersion(minor))  # pyright: ignore[reportArgumentType]  # as far as it is asked


@pytest.mark.parametrize("minor", ["28", "9", "28+"])
async def test_an_older_cluster_is_refused_with_the_first_version_that_would_do(minor: str) -> None:
    with pytest.raises(
        UnsupportedError, match=r"runs Kubernetes v1\.\d+\+?\.0; Kedge needs 1\.29 or newer, whose Pods have sidecars"
    ):
        await _check_cluster(OfVersion(minor))  # pyright: ignore[reportArgumentType]  # as far as it is asked


@pytest.mark.parametrize("listen", ["0.0.0.0", "::"])  # noqa: S104  # nothing is bound
def test_pods_are_told_no_address_that_leads_to_themselves(listen: str) -> None:
    with pytest.raises(UnsupportedError, match=r"KEDGE_LISTEN: .* none that a Pod could call\. Set KEDGE_HUB_ADDRESS"):
        check_address(listen, "")
    check_address(listen, "http://kedge.ml.svc:8080")
    check_address("10.0.0.7", "")


def test_the_hub_of_a_laptop_knows_its_owner_and_nobody_else() -> None:
    owner = OwnerToken("secret")
    assert owner.bearer("Bearer secret").is_owner
    for other in ("Bearer other", "Bearer a.service.account's", "Bearer", ""):
        with pytest.raises(Unauthorized):
            owner.bearer(other)
