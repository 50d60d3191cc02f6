"""Kubeflow's API server, through kfp's client: one line for whatever goes wrong.

kfp finds the host (address, cluster, kubeconfig) and the credentials. Its generated services are
called instead of its convenience methods: those print, log tracebacks and wait for ever.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from typing import TYPE_CHECKING, Any

from soundgate.errors import ConfigError
from soundgate.executors.kubeflow.library import require_kfp
from soundgate.executors.kubeflow.service.refusals import (
    KubeflowRefused,
    answer_of,
    innermost,
    said,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from soundgate.executors.kubeflow.profile import Profile

WAIT_S = (10, 30)
"""For a connection, for an answer."""
SOON_S = (5, 10)
"""For whether there is a server at all."""
HEALTH = "/apis/v2beta1/healthz"
LOG = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"
"""Not in the API's description, but served by every version."""
EQUALS = 1
UNAUTHENTICATED, FORBIDDEN, ABSENT, EXISTS = 401, 403, 404, 409
NOT_FOUND = 5
"""gRPC's code for what is not there; a proxy that finds no server answers without one."""


class Client:
    """The API server that a profile names; contacted when first asked something."""

    def __init__(self, profile: Profile) -> None:
        """Remember the site."""
        self.profile = profile
        self._api: Any = None

    @property
    def where(self) -> str:
        """The API server, for messages."""
        return self.profile.host or "the Kubeflow of this cluster or kubeconfig"

    def health(self) -> dict[str, Any]:
        """Return what the server says of itself: ``multi_user``, ``tag_name`` (its version).

        Raises:
            KubeflowRefused: it does not answer, or not to us.
        """
        found = json.loads(self._get("its health", HEALTH, wait_s=SOON_S))
        return found if isinstance(found, dict) else {}

    def experiment(self, name: str, *, make: bool) -> str | None:
        """Return the id of an experiment; ``make`` it where it is absent.

        Raises:
            KubeflowRefused: the server refused.
        """
        found = self._experiment(name)
        if found or not make:
            return found
        try:
            with self._errors(f"experiment {name!r}"):
                services, models = self._services.experiments, self._services.api_models
                new = models.V2beta1Experiment(display_name=name, namespace=self.profile.namespace)
                made = services.experiment_service_create_experiment(
                    experiment=new, _request_timeout=WAIT_S
                )
                return str(made.experiment_id)
        except KubeflowRefused as error:
            # another run was faster
            if error.status != EXISTS or not (found := self._experiment(name)):
                raise
            return found

    def _experiment(self, name: str) -> str | None:
        options = {"filter": _named(name), "_request_timeout": WAIT_S}
        if self.profile.namespace:
            options["namespace"] = self.profile.namespace
        with self._errors(f"experiment {name!r}"):
            services = self._services.experiments
            found = services.experiment_service_list_experiments(**options).experiments
            return str(found[0].experiment_id) if found else None

    def find_run(self, experiment: str, name: str) -> str | None:
        """Return the id of the newest run of a name, or None where there is none.

        Raises:
            KubeflowRefused: the server refused, or does not answer.
        """
        with self._errors(f"run {name!r}"):
            found = self._services.runs.run_service_list_runs(
                experiment_id=experiment,
                filter=_named(name),
                sort_by="created_at desc",
                page_size=1,
                _request_timeout=WAIT_S,
            ).runs
            return str(found[0].run_id) if found else None

    def create_run(
        self, experiment: str, name: str, about: str, definition: str, values: Mapping[str, Any]
    ) -> str:
        """Start a run of a definition; return its id.

        Raises:
            KubeflowRefused: the server refused.
        """
        import yaml

        documents = list(yaml.safe_load_all(definition))
        spec = documents[0]
        if len(documents) > 1:
            spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]}
        with self._errors(f"run {name!r}"):
            models = self._services.api_models
            new = models.V2beta1Run(
                experiment_id=experiment,
                display_name=name,
                description=about,
                pipeline_spec=spec,
                runtime_config=models.V2beta1RuntimeConfig(parameters=dict(values)),
                service_account=self.profile.service_account,
            )
            services = self._services.runs
            made = services.run_service_create_run(run=new, _request_timeout=WAIT_S)
            return str(made.run_id)

    def run(self, run_id: str) -> Any:
        """Return a run: ``state``, ``error``, ``run_details.task_details``.

        Raises:
            KubeflowRefused: the server does not know it, or does not answer.
        """
        with self._errors(f"run {run_id}"):
            services = self._services.runs
            return services.run_service_get_run(run_id=run_id, _request_timeout=WAIT_S)

    def terminate(self, run_id: str) -> None:
        """Ask for the end of a run.

        Raises:
            KubeflowRefused: the server refused.
        """
        with self._errors(f"run {run_id}"):
            services = self._services.runs
            services.run_service_terminate_run(run_id=run_id, _request_timeout=WAIT_S)

    def retry(self, run_id: str) -> None:
        """Run the tasks of a run again that failed, and what follows them.

        Raises:
            KubeflowRefused: the server refused.
        """
        with self._errors(f"run {run_id}"):
            services = self._services.runs
            services.run_service_retry_run(run_id=run_id, _request_timeout=WAIT_S)

    def log(self, run_id: str, node: str) -> Iterator[str]:
        """Yield the log of a pod, line by line.

        Raises:
            KubeflowRefused: the server keeps none (any more).
        """
        text = self._get(f"log of {node}", LOG, run_id=run_id, node_id=node)
        yield from text.splitlines(keepends=True)

    def address(self, run_id: str) -> str:
        """Where a browser shows a run."""
        return f"{self.profile.host or ''}/#/runs/details/{run_id}"

    def _get(self, what: str, path: str, *, wait_s: tuple[int, int] = WAIT_S, **parts: str) -> str:
        """Return what the server answers to a request that the API does not describe."""
        with self._errors(what):
            answer = self._services.api_client.call_api(
                path,
                "GET",
                path_params=parts,
                header_params={"Accept": "*/*"},
                auth_settings=["Bearer"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=wait_s,
            )
            data: bytes = answer.data
        return data.decode("utf-8", "replace")

    @property
    def _services(self) -> Any:
        if self._api is None:
            self._api = _connect(self.profile)
        return self._api

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn what the server and the network say into one line."""
        require_kfp()
        from kfp_server_api.exceptions import (  # type: ignore[import-untyped]
            OpenApiException,
        )
        from urllib3.exceptions import HTTPError

        try:
            yield
        except OpenApiException as error:
            status = getattr(error, "status", None) or 0
            absent = status == ABSENT and answer_of(error).get("code") == NOT_FOUND
            raise KubeflowRefused(
                f"{self.where}: {what}: {self._refusal(error)}", status=status, absent=absent
            ) from error
        except (HTTPError, OSError) as error:
            reason = innermost(error)
            raise KubeflowRefused(
                f"{self.where} does not answer ({reason}): correct host in the profile, or look at "
                "its network"
            ) from error

    def _refusal(self, error: Any) -> str:
        """Say why the server refused, and what to do."""
        status = getattr(error, "status", None)
        text = said(error)
        namespace = self.profile.namespace
        token = self.profile.token_variable
        advice = {
            UNAUTHENTICATED: f"renew the token in {token}"
            if token
            else "name the variable that holds a token in the profile (token_variable:)",
            FORBIDDEN: f"ask for the right to run pipelines in namespace {namespace}"
            if namespace
            else "name the namespace that is yours in the profile (namespace:)",
            ABSENT: "it is not there (any more)",
        }
        todo = f"; {advice[status]}" if status in advice else ""
        return f"refused ({status}): {text}{todo}" if status else f"{text}{todo}"


def _connect(profile: Profile) -> Any:
    """Make kfp's client.

    Raises:
        ConfigError: the profile names a token, or a certificate, that is not there.
    """
    token = _token(profile)
    if profile.certificate and not os.path.isfile(profile.certificate):  # noqa: PTH113
        raise ConfigError(f"certificate: {profile.certificate}: no such file")
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # it tells of each attempt
    require_kfp()
    # without a host and without a kubeconfig it prints, and goes on
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from kfp.client import Client as KfpClient

        class Api(KfpClient):  # type: ignore[misc]
            """kfp's client, which asks once and does not wait for a server that is not there."""

            def _load_config(self, *words: Any, **options: Any) -> Any:
                """Ask once more where nothing comes back; whoever waits asks again anyway."""
                config = super()._load_config(*words, **options)
                config.retries = 1
                return config

            def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:  # noqa: ARG002
                """Ask once."""
                return self.healthzs.healthz_service_get_healthz(_request_timeout=SOON_S)

            @property
            def api_client(self) -> Any:
                """What sends requests, with the credentials."""
                return self._run_api.api_client

        return Api(
            host=profile.host,
            namespace=profile.namespace or "kubeflow",
            existing_token=token,
            ssl_ca_cert=profile.certificate,
        )


def _token(profile: Profile) -> str | None:
    if not profile.token_variable:
        return None
    token = os.environ.get(profile.token_variable)
    if not token:
        raise ConfigError(
            f"token_variable: {profile.token_variable} is not set: set it to the token of "
            f"{profile.host}"
        )
    return token


def _named(name: str) -> str:
    """Return the filter that keeps what has this name."""
    wanted = {"operation": EQUALS, "key": "display_name", "stringValue": name}
    return json.dumps({"predicates": [wanted]})
