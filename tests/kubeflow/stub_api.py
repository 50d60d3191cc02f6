"""A loopback stand-in for the KFP API server: it takes runs as ``kfp.Client`` sends them.

A submitted pipeline is executed by ``ir_runner`` in a thread. Tasks are listed as a real server
lists them, as nodes of an Argo workflow: ``train-driver``, ``train``, and its container as
``executor``, which is ``SKIPPED`` where the result was cached. Faults are set per request.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote

import ir_runner
from ir_runner import IRError, Runner, State
from stub_http import ApiError, Fault, Request, handler
from stub_nodes import NEVER, equal_to, nodes, pod_name, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ir_runner import Platform

BASE = "/apis/v2beta1"
LIVE = ("PENDING", "RUNNING", "CANCELING")


@dataclass
class Run:
    """A run, as it was sent and as it stands."""

    record: dict[str, Any]
    runner: Runner
    arguments: dict[str, Any]
    over: threading.Event = field(default_factory=threading.Event)


class KubeflowApi:
    """The server; ``with KubeflowApi(folder, platform) as api: kfp.Client(host=api.url)``."""

    def __init__(
        self, folder: Path, platform: Platform, *, token: str = "", multi_user: bool = False
    ) -> None:
        """Keep everything below ``folder``; with ``token`` every request must carry it."""
        self.folder, self.platform = folder, platform
        self.token, self.multi_user = token, multi_user
        self.cache = ir_runner.Cache()
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, Run] = {}
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Terminate what runs, then stop listening."""
        for run in self.runs.values():
            run.runner.cancel()
        for run in self.runs.values():
            run.over.wait(20)
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def fail(
        self, method: str, path: str, *, status: int = 500, times: int = 1, message: str = ""
    ) -> None:
        """Answer the next ``times`` requests whose path matches with an error."""
        self.faults.append(Fault(method, path, times, status, message or f"injected {status}"))

    def slow(self, method: str, path: str, *, seconds: float, times: int = 1) -> None:
        """Answer late."""
        self.faults.append(Fault(method, path, times, seconds=seconds))

    def drop(self, method: str, path: str, *, times: int = 1) -> None:
        """Close the connection instead of answering."""
        self.faults.append(Fault(method, path, times, drop=True))

    def lose(self, method: str, path: str, *, times: int = 1) -> None:
        """Do what is asked, and close the connection instead of answering."""
        self.faults.append(Fault(method, path, times, lose=True))

    def wait(self, run_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Return a run once it is over."""
        if not self.runs[run_id].over.wait(seconds):
            raise TimeoutError(self.runs[run_id].record["state"])
        return self.get_run(run_id)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that the next request meets."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def answer(self, request: Request) -> Any:
        """Return what is answered.

        Raises:
            ApiError: anything but 200.
        """
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            raise ApiError(401, "Unauthenticated: request carries no valid token")
        for method, pattern, function in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                with self.lock:
                    return function(self, request, *map(unquote, found.groups()))
        raise ApiError(404, f"Not Found: {request.method} {request.path}")

    def health(self, _request: Request) -> dict[str, Any]:
        """Answer whether it is there."""
        return {"multi_user": self.multi_user}

    def list_experiments(self, request: Request) -> dict[str, Any]:
        """List experiments, by name where asked for."""
        found = equal_to(self.experiments.values(), request.query)
        namespace = request.query.get("namespace")
        if self.multi_user and not namespace:
            raise ApiError(400, "In multi-user mode, a namespace must be specified")
        if namespace:
            found = [each for each in found if each["namespace"] in ("", namespace)]
        return {"experiments": found, "total_size": len(found)} if found else {}

    def create_experiment(self, request: Request) -> dict[str, Any]:
        """Create an experiment; its name is its own."""
        name = request.body["display_name"]
        if any(each["display_name"] == name for each in self.experiments.values()):
            raise ApiError(409, f"Already exist error: Name {name} already exists")
        made = {
            "experiment_id": str(uuid.uuid4()),
            "display_name": name,
            "description": request.body.get("description", ""),
            "namespace": request.body.get("namespace") or "",
            "created_at": timestamp(),
            "storage_state": "AVAILABLE",
        }
        self.experiments[made["experiment_id"]] = made
        return made

    def get_experiment(self, _request: Request, name: str) -> dict[str, Any]:
        """Return an experiment."""
        if name not in self.experiments:
            raise ApiError(404, f"Experiment {name} not found")
        return self.experiments[name]

    def create_run(self, request: Request) -> dict[str, Any]:
        """Take a run and start it."""
        body = request.body
        if body.get("experiment_id") not in self.experiments:
            raise ApiError(404, f"Experiment {body.get('experiment_id')} not found")
        settings = body.get("runtime_config") or {}
        arguments = settings.get("parameters") or {}
        try:
            ir = ir_runner.of_documents(_documents(body.get("pipeline_spec") or {}))
            root = settings.get("pipeline_root") or ""
            runner = self._runner(ir, pipeline_root=root)
            runner.arguments(arguments)
        except IRError as error:
            raise ApiError(400, f"Invalid input error: {error}") from error
        record = {
            **{key: value for key, value in body.items() if value is not None},
            "run_id": runner.run_id,
            "storage_state": "AVAILABLE",
            "created_at": timestamp(),
            "scheduled_at": timestamp(),
            "finished_at": NEVER,
            "state": "PENDING",
        }
        self.runs[runner.run_id] = Run(record, runner, arguments)
        self._start(self.runs[runner.run_id])
        return dict(record)

    def get_run(self, run_id: str) -> dict[str, Any]:
        """Return a run with its tasks."""
        run = self._run(run_id)
        tasks = list(run.runner.tasks.values())
        details = [node for task in tasks for node in nodes(run_id, task)]
        return {**run.record, "run_details": {"task_details": details}}

    def list_runs(self, request: Request) -> dict[str, Any]:
        """List runs, newest first, a page at a time."""
        found = [run.record for run in reversed(self.runs.values())]
        if wanted := request.query.get("experiment_id"):
            found = [each for each in found if each["experiment_id"] == wanted]
        found = equal_to(found, request.query)
        first = int(request.query.get("page_token") or 0)
        end = first + int(request.query.get("page_size") or 20)
        more = {"next_page_token": str(end)} if end < len(found) else {}
        return {"runs": found[first:end], "total_size": len(found), **more}

    def log(self, _request: Request, run_id: str, pod: str) -> str:
        """Return what a pod printed."""
        for task in list(self._run(run_id).runner.tasks.values()):
            for number, file in enumerate(task.logs):
                if pod_name(task, number) == pod and file.exists():
                    return file.read_text("utf-8", "replace")
        raise ApiError(404, f"Pod {pod} not found")

    def terminate(self, _request: Request, run_id: str) -> dict[str, Any]:
        """Terminate a run that is not over."""
        run = self._run(run_id)
        if run.record["state"] not in LIVE:
            raise ApiError(400, f"Run {run_id} cannot be terminated: {run.record['state']}")
        run.record["state"] = "CANCELING"
        run.runner.cancel()
        return {}

    def retry(self, _request: Request, run_id: str) -> dict[str, Any]:
        """Run again what failed, and what waits for it."""
        run = self._run(run_id)
        if run.record["state"] not in ("FAILED", "CANCELED"):
            raise ApiError(400, f"Run {run_id} cannot be retried: {run.record['state']}")
        before = run.runner
        kept = {
            path: task
            for path, task in before.tasks.items()
            if task.state.done and task.kind != "dag"
        }
        run.runner = self._runner(before.ir, run_id=run_id, keep=kept)
        run.runner.root = before.root
        run.record |= {"state": "PENDING", "finished_at": NEVER}
        self._start(run)
        return {}

    def _runner(self, ir: ir_runner.IR, **options: Any) -> Runner:
        return Runner(ir, self.folder, self.platform, cache=self.cache, **options)

    def _run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise ApiError(404, f"Run {run_id} not found")
        return self.runs[run_id]

    def _start(self, run: Run) -> None:
        run.over.clear()
        threading.Thread(target=self._execute, args=(run,), daemon=True).start()

    def _execute(self, run: Run) -> None:
        state = State.FAILED
        try:
            with self.lock:
                if run.record["state"] == "PENDING":
                    run.record["state"] = "RUNNING"
            state = run.runner.run(run.arguments).state
        except IRError as error:
            run.record["error"] = {"code": 3, "message": str(error)}
        finally:
            with self.lock:
                run.record |= {"state": str(state), "finished_at": timestamp()}
            run.over.set()


def _documents(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents of a run's specification: alone, or with that of its platforms."""
    if "pipeline_spec" not in spec:
        return [spec]
    return [each for each in (spec["pipeline_spec"], spec.get("platform_spec")) if each]


ROUTES: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", f"{BASE}/healthz", KubeflowApi.health),
    ("GET", f"{BASE}/experiments", KubeflowApi.list_experiments),
    ("POST", f"{BASE}/experiments", KubeflowApi.create_experiment),
    ("GET", f"{BASE}/experiments/([^/:]+)", KubeflowApi.get_experiment),
    ("POST", f"{BASE}/runs", KubeflowApi.create_run),
    ("GET", f"{BASE}/runs", KubeflowApi.list_runs),
    ("GET", f"{BASE}/runs/([^/:]+)", lambda api, _request, run_id: api.get_run(run_id)),
    ("POST", f"{BASE}/runs/([^/:]+):terminate", KubeflowApi.terminate),
    ("POST", f"{BASE}/runs/([^/:]+):retry", KubeflowApi.retry),
    ("GET", "/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", KubeflowApi.log),
)
