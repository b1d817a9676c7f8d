"""What the node's agent and the network of its Pods say to each other: JSON objects, one a line, over a unix socket.

Requests, each with one answer, in order::

    {"op": "hello", "ports": [PORT…]}      -> {"version", "pid", "pods": {UID: POD}, "wayOut", "wayOutUdp"}
    {"op": "give", "pod": UID, "ports": [[HOST_PORT, PORT]…]}
                                           -> POD, the same one for the same UID
    {"op": "rename", "pod": NAME, "to": UID}
                                           -> {}; one that was made before it was known for whom
    {"op": "drop", "pod": UID}             -> {}
    {"op": "table", "services": [SERVICE…]} -> {"faults": [TEXT…]}
    {"op": "socket", "pod": UID}           -> {}, with the descriptor of a TCP socket of that Pod's network, whose
                                              loopback is its own; of the node's, which reaches every Pod, for ""
    {"op": "quit"}                         -> {}

What goes wrong is answered with ``{"error": TEXT}``. ``ports`` are those of this machine's loopback that Pods made from now on
find on theirs. ``wayOut`` says why Pods reach nothing outside over TCP, ``wayOutUdp`` over UDP; empty when they do. POD:
``address``, and ``path`` and ``inode`` of its network namespace. SERVICE: `kedge.network.records.names_of`, and ``affinity``,
the seconds for which a client stays with an endpoint; of its ports, ``nodePort`` too, which is listened on at the machine's
loopback.
"""

from kedge.supervisor.protocol import Lines, encode

__all__ = ["RESOLVER", "SOCKET", "VERSION", "Lines", "encode"]

VERSION = 1
SOCKET = "network.sock"  # relative: an absolute path may be longer than a socket's address can be
RESOLVER = "10.96.0.10"
"""Address of the resolver, in the range of Services."""
