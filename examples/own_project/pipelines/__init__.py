"""The pipelines: declarations."""
