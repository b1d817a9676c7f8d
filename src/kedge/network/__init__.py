"""The network of a node's Pods: namespaces, addresses, names, Services, and the way out, without root.

One process (`daemon`) stays in the machine's own network and does all the talking. A second one (`spaces`) lives in the node's
network namespace, makes namespaces and sockets there, and hands them over: a socket belongs to the namespace in which it was
made, wherever it is used. Standard library only; the node's agent speaks to it through `kedge.node.network`.
"""
