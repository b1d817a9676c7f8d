"""The language of pipelines: the names and the behaviour of ``kfp.dsl``."""
