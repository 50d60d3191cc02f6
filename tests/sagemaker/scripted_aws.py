"""States of tasks, and answers of AWS from a script, for the tests of the SageMaker executor."""

from __future__ import annotations

from soundgate.executors.sagemaker.service import client


def tasks(record):
    """The state of every task; whether a result was cached depends on the tests before."""
    states = {name: str(task["state"]) for name, task in record["tasks"].items()}
    return {
        name: "done" if state in ("succeeded", "reused") else state
        for name, state in states.items()
    }


def reused(record):
    return [name for name, task in record["tasks"].items() if task["state"] == "reused"]


class Script:
    """Answers of AWS, read out one after another."""

    def __init__(self, **answers):
        self.answers = answers

    def call(self, _, operation, **given):
        answer = self.answers[operation]
        if callable(answer):
            return answer(given) or {}
        return answer

    pages = client.Aws.pages
