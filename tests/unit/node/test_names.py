"""Which resolvers a Pod with a network of its own may name."""

import pytest

from kedge.kube.kinds import Obj
from kedge.node import names
from kedge.node.refusals import Refusal

WHY = "Operation not permitted"


def pod(*servers: str, **config: object) -> Obj:
    return {
        "metadata": {"name": "p", "namespace": "team"},
        "spec": {"dnsPolicy": "None", "dnsConfig": {"nameservers": [*servers], **config}},
    }


def test_a_pod_asks_whom_it_names() -> None:
    found = names.files(pod("192.0.2.53", "10.96.0.10"), "10.244.0.9")
    assert found["resolv.conf"].split() == ["nameserver", "192.0.2.53", "nameserver", "10.96.0.10"]


def test_where_udp_does_not_leave_a_resolver_outside_is_refused_unless_it_is_asked_over_tcp() -> None:
    with pytest.raises(Refusal) as caught:
        names.files(pod("10.96.0.10", "192.0.2.53"), "10.244.0.9", WHY)
    assert caught.value.reason == "UnsupportedField"
    assert caught.value.message == (
        "spec.dnsConfig.nameservers[1]: 192.0.2.53 is asked over UDP, which does not leave the Pods' network "
        "(Operation not permitted). Add the option use-vc, which asks over TCP, or remove the field: the host's resolver "
        "asks the machine's."
    )
    over_tcp = pod("192.0.2.53", options=[{"name": "use-vc"}])
    assert "options use-vc\n" in names.files(over_tcp, "10.244.0.9", WHY)["resolv.conf"]
    assert names.files(pod("10.96.0.10"), "10.244.0.9", WHY)
