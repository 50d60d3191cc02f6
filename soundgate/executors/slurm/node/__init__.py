"""Runs on the nodes: the worker of a job, and the commands of its tasks."""
