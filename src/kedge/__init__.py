"""Kedge: Kubeflow APIs in one Python package."""
