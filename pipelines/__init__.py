"""Declarations: ``run-pipeline --module-name pipelines.NAME``."""
