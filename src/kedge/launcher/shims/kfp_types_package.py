"""``kfp.dsl.types`` inside a step."""
