"""What an installation puts into a cluster, as plain data: one source for `kedge install`, the Helm chart and the kustomize base.

Nothing here reads or writes; `kedge.installation` does.
"""
