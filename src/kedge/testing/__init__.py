"""The test kit: what tests of pipelines, controllers, stores and clients need, for Kedge's own and for users'.

    kedge.testing.host          a real host in a directory of its own: `running_host`
    kedge.testing.cluster       a hub against a cluster: `running_hub`
    kedge.testing.clock         a clock that is moved by hand, and ids that count
    kedge.testing.clients       what every client, reconciler and store promises, as test classes (also `reconcilers`, `stores`)
    kedge.testing.runs          a run controller on a machine that plays the node

A test imports from these modules; this one holds nothing.
"""
