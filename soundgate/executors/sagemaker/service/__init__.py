"""Talks to AWS: creates pipelines, starts and follows executions, moves artifacts."""
