"""Talks to Kubeflow Pipelines: sends files and definitions, follows runs, fetches artifacts."""
