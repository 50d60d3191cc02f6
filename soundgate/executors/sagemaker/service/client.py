"""Calls to AWS through boto3, with errors of one line.

Every call has time limits and is repeated after temporary errors (throttling, a broken connection).
Nothing is contacted before the first call.
"""

from __future__ import annotations

import functools
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from soundgate.errors import ExecutorError, ParameterError, SoundgateError, nearest
from soundgate.executors.sagemaker.validation.shapes import loader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ATTEMPTS = 6
"""Attempts per call; botocore waits longer each time, up to 20 s."""
CONNECT_S, READ_S = 10, 60
CONFLICTS = 4
"""How often a change is retried that conflicts with another change of the same resource."""

USER_ERRORS = {
    "ExpiredToken": "the credentials have expired; sign in again",
    "ExpiredTokenException": "the credentials have expired; sign in again",
    "RequestExpired": "the credentials have expired, or this machine's clock is wrong",
    "InvalidClientTokenId": "AWS does not know these credentials; check AWS_ACCESS_KEY_ID",
    "UnrecognizedClientException": "AWS does not know these credentials; check AWS_ACCESS_KEY_ID",
    "InvalidSignatureException": "wrong signature; check AWS_SECRET_ACCESS_KEY and the clock",
    "SignatureDoesNotMatch": "wrong signature; check AWS_SECRET_ACCESS_KEY and the clock",
    "MissingAuthenticationToken": "no credentials were sent; sign in",
    "OptInRequired": "the region is not enabled in this account; enable it or choose another",
}
"""Fixes for errors that the user can correct, by AWS's error code."""
NO_CREDENTIALS = (
    "AWS: no credentials: sign in, set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "or give the machine a role"
)
NO_REGION = "AWS: no region: set region in the profile, AWS_REGION, or --kwargs region"
SIGN_IN = ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "CredentialRetrievalError")
BAD_CONFIG = ("ProfileNotFound", "ConfigParseError", "InvalidConfigError")
"""Names of botocore's errors, because botocore is imported only when used."""
THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "TooManyRequestsException",
    }
)
PASSING = frozenset({"NoAnswer", "InternalFailure", "ServiceUnavailable", "500", "503"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "NoSuchEntity", "404"})


class AwsRefused(ExecutorError):
    """AWS refused a call; ``code`` is AWS's error code."""

    def __init__(self, text: str, code: str) -> None:
        """Keep the code beside the text."""
        super().__init__(text)
        self.code = code

    @property
    def may_pass(self) -> bool:
        """Whether the call may succeed later."""
        return self.code in THROTTLED or self.code in PASSING


class Aws:
    """The clients of one region, created on first use."""

    def __init__(self, region: str = "", endpoint_url: str = "") -> None:
        """Remember region and address.

        Args:
            region: AWS region; empty: from the environment (``AWS_REGION``, ``AWS_PROFILE``).
            endpoint_url: SageMaker's URL, for example a VPC endpoint; empty: the region's own.
        """
        self._region, self._endpoint_url = region, endpoint_url

    @functools.cached_property
    def session(self) -> Any:
        """The session that clients are made from.

        Raises:
            MissingExtra: boto3 is not installed.
            ParameterError: no region is set, or it is unknown.
        """
        models = loader()
        import boto3
        import botocore.session
        from botocore.exceptions import BotoCoreError

        inner = botocore.session.Session()
        inner.register_component("data_loader", models)
        # boto3 does not read AWS_REGION by itself
        region = self._region or os.environ.get("AWS_REGION") or None
        try:
            session = boto3.session.Session(botocore_session=inner, region_name=region)
            found = session.region_name
        except BotoCoreError as error:  # AWS_PROFILE names an unknown profile
            raise ParameterError(f"AWS: {_flat(error)}") from error
        if not found:
            raise ParameterError(NO_REGION)
        self._check_region(session)
        return session

    @property
    def region(self) -> str:
        """The region's name."""
        return str(self.session.region_name)

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call, ``call("sagemaker", "describe_pipeline", PipelineName=...)``.

        Raises:
            ParameterError: credentials or region are wrong.
            AwsRefused: AWS refused the call or does not answer.
        """
        client = self._client(service)
        with _one_line(f"{service}:{_camel(operation)}"):
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        return answer

    def change(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Make one call; repeat it if it conflicts with another change of the same resource.

        Raises:
            ParameterError: credentials or region are wrong.
            AwsRefused: AWS refused the call or does not answer.
        """
        for attempt in range(1, CONFLICTS):
            try:
                return self.call(service, operation, **arguments)
            except AwsRefused as error:
                if error.code != "ConflictException":
                    raise
            time.sleep(0.5 * 2**attempt)
        return self.call(service, operation, **arguments)

    def pages(
        self, service: str, operation: str, result: str, **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield the entries of a paginated answer; ``result`` is the field that lists them."""
        token: dict[str, str] = {}
        while True:
            answer = self.call(service, operation, **arguments, **token)
            yield from answer.get(result, [])
            following = answer.get("NextToken")
            if not following or following == token.get("NextToken"):
                return
            token = {"NextToken": following}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    @functools.cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            from botocore.config import Config

            config = Config(
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
            )
            own = self._endpoint_url if service == "sagemaker" else ""
            with _one_line(service):
                self._clients[service] = self.session.client(
                    service, endpoint_url=own or None, config=config
                )
        return self._clients[service]

    def _check_region(self, session: Any) -> None:
        """Refuse a misspelt region now.

        Its address does not resolve, so every attempt would time out first.
        """
        known = [
            region
            for partition in session.get_available_partitions()
            for region in session.get_available_regions("sagemaker", partition)
        ]
        if session.region_name not in known and not self._endpoint_url:
            hint = nearest(session.region_name, known)
            if "did you mean" in hint:
                raise ParameterError(f"AWS: unknown region {session.region_name!r}{hint}")


@contextmanager
def _one_line(action: str) -> Iterator[None]:
    """Replace an error of botocore by one of ours."""
    try:
        yield
    except Exception as error:
        meant = explain(error, action)
        if meant is None:
            raise
        raise meant from error


def explain(error: BaseException, action: str) -> SoundgateError | None:
    """Return our error for one of botocore; None for other errors.

    Args:
        error: what a call raised.
        action: the call, for example ``sagemaker:CreatePipeline``.
    """
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _refusal(error.response, action)
    if isinstance(error, boto.ParamValidationError):
        return ExecutorError(f"{action}: {_flat(error)}")
    for kinds, text in (
        ((boto.NoCredentialsError, boto.PartialCredentialsError), NO_CREDENTIALS),
        (SIGN_IN, f"AWS: {_flat(error)}; sign in again"),
        (BAD_CONFIG, f"AWS: {_flat(error)}; check AWS_PROFILE and the AWS config"),
        ((boto.NoRegionError,), NO_REGION),
    ):
        named = tuple(getattr(boto, k) if isinstance(k, str) else k for k in kinds)
        if isinstance(error, named):
            return ParameterError(text)
    if isinstance(error, (boto.HTTPClientError, boto.BotoCoreError)):
        text = f"{action}: no answer: {_flat(error)}; check the region and the network"
        return AwsRefused(text, "NoAnswer")
    return None


def _refusal(response: Mapping[str, Any], action: str) -> SoundgateError:
    told = response.get("Error", {})
    code, message = str(told.get("Code", "")), _flat(told.get("Message", ""))
    if code in USER_ERRORS:
        return ParameterError(f"AWS: {USER_ERRORS[code]} ({code})")
    if code in DENIED:
        who = f": {message}" if message else ""
        return AwsRefused(f"{action} is denied to these credentials{who}", code)
    if code in THROTTLED:
        text = f"{action}: throttled, also after {ATTEMPTS} attempts; try again later ({code})"
        return AwsRefused(text, code)
    return AwsRefused(f"{action}: {message or 'refused'} ({code})", code)


def is_gone(error: AwsRefused) -> bool:
    """Whether the error says that a resource does not exist.

    SageMaker has several ways to say so.
    """
    return error.code in GONE or (
        error.code == "ValidationException"
        and any(
            word in str(error).lower() for word in ("does not exist", "could not find", "not found")
        )
    )


def _camel(operation: str) -> str:
    return "".join(word.capitalize() for word in operation.split("_"))


def _flat(text: object) -> str:
    return " ".join(str(text).split())
