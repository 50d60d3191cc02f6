"""Compiles a pipeline to the document that Kubeflow Pipelines runs."""
