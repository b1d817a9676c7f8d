"""The relay: a small Pod through which other Pods reach a hub that nobody can connect to, such as one on a laptop behind NAT.

It listens on two ports: one takes the staging requests of Pods, the other one (the *tunnel*) is where the hub comes for them, by
long polls through the API server's proxy. It keeps nothing, decides nothing and reads nothing of what it passes on.

Standard library only, and the syntax of Python 3.8: it runs in whatever Python image a cluster has. `bundle` makes the program,
`kedge.client.relay` is the hub's end.
"""
