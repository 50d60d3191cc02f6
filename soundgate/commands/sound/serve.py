"""The command that serves models: it joins the registry with the service."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.commands.output import count, runs_root
from soundgate.errors import MissingExtra, ParameterError, RegistryError

if TYPE_CHECKING:
    import argparse

    from soundgate.registry.versions.current import Current

SERVER = "soundgate.audio.serving.server"
SETTINGS = "soundgate.audio.serving.settings"
SOURCES = "soundgate.audio.serving.models.sources"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""
LIBRARIES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart")
PORT = 8090
RELOAD_S = 5.0
KEY_VARIABLE = "SOUNDGATE_API_KEY"


@dataclass(frozen=True)
class RegistrySource:
    """A registered model by its alias; see ``soundgate.audio.serving.models.sources``."""

    name: str
    """As clients call it: NAME@ALIAS."""
    uri: str
    kept: Path
    """Where fetched versions are kept."""

    def identity(self) -> str:
        """Number and digest of the version that the alias names now."""
        return " ".join(self._current())

    def fetch(self) -> Any:
        """Its files; see ``Release``."""
        from soundgate.registry.versions.current import fetched

        found = self._current()
        folder = fetched(self.uri, self.name.rpartition("@")[0], found, self.kept)
        release = importlib.import_module(SOURCES).Release
        return release(folder, found.version, found.digest)

    def _current(self) -> Current:
        from soundgate.registry.versions.current import current

        name, _, alias = self.name.rpartition("@")
        return current(self.uri, name, alias)


def serve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``serve``."""
    parser.add_argument(
        "--model-dir",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder that holds models, at any depth; may be repeated",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME[@ALIAS]",
        help="registered model; its alias is champion unless another is given; may be repeated",
    )
    parser.add_argument(
        "--registry",
        metavar="URI",
        help="MLflow registry (default: MLFLOW_TRACKING_URI, or mlflow.db in the runs folder)",
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        metavar="PATH",
        help="weights of the encoder that models of pipelines.sec listen through",
    )
    parser.add_argument(
        "--hot-reload",
        action="store_true",
        help="take over new versions and changed folders while requests are answered",
    )
    parser.add_argument(
        "--host", default="localhost", help="address to listen on (default: localhost)"
    )
    for name, value, what in (
        ("port", PORT, "port to listen on"),
        ("batch-size", 16, "clips scored together, at most"),
        ("num-workers", 4, "threads that decode audio"),
        ("max-waiting", 256, "requests in progress; one more is answered 503"),
        ("max-body-mb", 64, "size of a request's body, MiB"),
        ("max-duration-s", 600, "length of a recording, seconds"),
    ):
        parser.add_argument(
            f"--{name}", type=count, default=value, help=f"{what} (default: {value})"
        )
    parser.add_argument(
        "--device", default="cpu", help="cpu, or cuda:N for models that run in torch (default: cpu)"
    )
    parser.add_argument(
        "--runtime",
        choices=("auto", "onnx", "int8", "torch"),
        default="auto",
        help="what computes; auto (default): ONNX Runtime where a model has an exported program",
    )
    parser.add_argument(
        "--root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of this machine whose audio requests may name; may be repeated",
    )
    parser.add_argument(
        "--add-instrument-metrics",
        action="store_true",
        help="add figures of each label to answers of /model/test-directory",
    )


def serve(args: argparse.Namespace) -> int:
    """Answer HTTP requests with trained models, until told to stop."""
    _require()
    _choose_device(args.device)
    settings = importlib.import_module(SETTINGS).ServiceSettings(
        runtime=args.runtime,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        max_waiting=args.max_waiting,
        max_body_mb=args.max_body_mb,
        max_duration_s=float(args.max_duration_s),
        roots=tuple(root.resolve() for root in args.root),
        api_key=os.environ.get(KEY_VARIABLE, ""),
        add_instrument_metrics=args.add_instrument_metrics,
        reload_s=RELOAD_S if args.hot_reload else 0.0,
    )
    started = importlib.import_module(SERVER).run(
        _sources(args), settings, host=args.host, port=args.port, encoder=args.encoder
    )
    return 0 if started else 1


def _sources(args: argparse.Namespace) -> list[Any]:
    folders = importlib.import_module(SOURCES)
    found: list[Any] = [each for folder in args.model_dir for each in folders.sources_in(folder)]
    for text in args.model:
        name, at, alias = text.partition("@")
        if not name or (at and not alias):
            raise ParameterError(f"--model: {text!r}: write NAME or NAME@ALIAS")
        found.append(_registered(f"{name}@{alias or 'champion'}", args.registry))
    if not found:
        raise ParameterError("no model is given: use --model-dir DIR or --model NAME")
    return found


def _registered(name: str, registry: str | None) -> RegistrySource:
    from soundgate.registry.service.connection import tracking_uri

    root = runs_root().resolve()
    source = RegistrySource(name, registry or tracking_uri(root), root / ".cache" / "served")
    try:
        source.identity()
    except RegistryError as error:
        raise ParameterError(f"--model: {error}") from error
    return source


def _require() -> None:
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ImportError as error:
            message = f"{library} is not installed; pip install 'soundgate[serve]'"
            raise MissingExtra(message) from error


def _choose_device(device: str) -> None:
    """Torch takes the first GPU that it sees: show it the one that was asked for, or none."""
    kind, _, number = device.partition(":")
    if kind not in {"cpu", "cuda"} or (number and not number.isdecimal()):
        raise ParameterError(f"--device: {device!r}: write cpu, cuda or cuda:N")
    if kind == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif number:
        os.environ["CUDA_VISIBLE_DEVICES"] = number
