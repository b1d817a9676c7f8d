"""The supervisor: a small process of standard-library Python that starts containers, reaps them and remembers how they ended.

It outlives the hub. It knows nothing of Kubernetes: the node's agent tells it, in the words of `protocol`, what to run.
"""
