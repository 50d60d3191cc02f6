"""How an execution can end other than well."""

from __future__ import annotations


class Refused(Exception):
    """The service would answer ``ValidationException``, and nothing would run."""


class StepFailed(Exception):
    """A step failed; the text is its FailureReason."""


class StepStopped(Exception):
    """A step was stopped before it ended."""


class PlatformFault(Exception):
    """The platform failed, not the program; ``kind`` is what retry policies name."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{REASONS[kind]}")
        self.kind = kind


REASONS = {
    "Step.SERVICE_FAULT": "InternalFailure: the service could not start the job",
    "Step.THROTTLING": "ThrottlingException: Rate exceeded",
    "SageMaker.JOB_INTERNAL_ERROR": "InternalServerError: we encountered an internal error",
    "SageMaker.CAPACITY_ERROR": "CapacityError: unable to provision requested compute capacity",
    "SageMaker.RESOURCE_LIMIT": "ResourceLimitExceeded: the account-level limit is 0 instances",
}
"""Exception types of retry policies, and the reason each leaves."""
