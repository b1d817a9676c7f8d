"""Puts Kedge into a cluster, brings it to another version, and takes it away again: what `kedge install` and its kin do."""
