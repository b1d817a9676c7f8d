"""The node: runs Pods as processes of this machine.

`agent` watches Pods, `lifecycle` says what each needs, the supervisor (a process of its own) carries it out.
"""
