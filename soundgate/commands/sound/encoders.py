"""The commands that bring encoders to machines without internet, and make programs of them."""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.checksums import file_sha256
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from soundgate.store.assets import Brought

EXPORT = "soundgate.audio.export.encoders.encoder"
EXPORT_HEAD = "soundgate.audio.export.encoders.head"
INTERFACE = "soundgate.audio.networks.encoders.interface"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""

HUB: Final = "https://huggingface.co"
"""Where the published files lie, unless ``--source`` gives another place with the same paths."""
LISTING: Final = "assets.json"
"""Lists what lies in a workspace, and where it came from."""
_SPEECH = ("config.json", "preprocessor_config.json")
_BYTES = ("config.json", "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")
_WORDS = ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json")


def _files(repository: str, names: tuple[str, ...], folder: str = "") -> dict[str, str]:
    """Names in the workspace, and paths at the source."""
    return {f"{folder}{name}": f"{repository}/resolve/main/{name}" for name in names}


PUBLISHED: Final = {
    "clap-2023": {
        **_files("microsoft/msclap", ("CLAP_weights_2023.pth",)),
        **_files("openai-community/gpt2", _BYTES, "gpt2/"),
    },
    "clap-2022": {
        **_files("microsoft/msclap", ("CLAP_weights_2022.pth",)),
        **_files("google-bert/bert-base-uncased", _WORDS, "bert-base-uncased/"),
    },
    "laion-clap": _files(
        "laion/clap-htsat-unfused",
        ("model.safetensors", "preprocessor_config.json", *_BYTES),
        "laion-clap/",
    ),
    "ast": _files(
        "MIT/ast-finetuned-audioset-10-10-0.4593", ("model.safetensors", *_SPEECH), "ast/"
    ),
    "wav2vec2": _files("facebook/wav2vec2-base", ("pytorch_model.bin", *_SPEECH), "wav2vec2/"),
    "hubert": _files("facebook/hubert-base-ls960", ("pytorch_model.bin", *_SPEECH), "hubert/"),
    "wavlm": _files("microsoft/wavlm-base", ("pytorch_model.bin", *_SPEECH), "wavlm/"),
    "whisper": _files("openai/whisper-base", ("model.safetensors", *_SPEECH), "whisper/"),
}
"""What each encoder needs: the name of a file in the workspace, and its path at the source."""


def stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``stage-assets``."""
    parser.add_argument("workspace", type=Path, help="folder to fill; files there are kept")
    parser.add_argument(
        "--encoder",
        dest="encoders",
        action="append",
        choices=tuple(PUBLISHED),
        metavar="NAME",
        help=f"bring what this one needs (default: clap-2023): {', '.join(PUBLISHED)}; repeatable",
    )
    parser.add_argument(
        "--source",
        default=HUB,
        help=f"address or folder to copy from, with the paths of {HUB} (default: that)",
    )


def stage_assets(args: argparse.Namespace) -> int:
    """Bring weights and tokens of encoders to a folder that machines without internet can read."""
    for name in args.encoders or ["clap-2023"]:
        for line in _stage(name, args.workspace, args.source):
            print(line)
    return 0


def _stage(name: str, workspace: Path, source: str) -> Iterator[str]:
    """Bring what is not there yet; say what was done, and the settings that use it."""
    listed = _listed(workspace)
    for file, path in PUBLISHED[name].items():
        target = workspace / file
        known = listed.get(file)
        if known and target.is_file() and known.sha256 == file_sha256(target):
            yield f"{file}: kept, {known.bytes / 1e6:.1f} MB"
            continue
        if target.exists() and not known:
            raise DataError(f"{target}: is there, but was not brought by this; move it away")
        listed[file] = brought = _bring(f"{source.rstrip('/')}/{path}", target)
        _write_listing(workspace, listed)
        yield f"{file}: {brought.bytes / 1e6:.1f} MB, sha256:{brought.sha256[:12]}"
    yield from ("encoder:", f"  name: {name}", *_paths(name, workspace.resolve()))


def _bring(source: str, target: Path) -> Brought:
    """Bring one file whole or not at all."""
    from soundgate.store.assets import Asset, bring  # which loads the libraries of the web

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as part:
        brought = bring(Asset(target.name, source, None), Path(part))
        shutil.move(Path(part) / target.name, target)
    return brought


def _paths(name: str, workspace: Path) -> list[str]:
    """Lines of a user config that name what was brought."""
    files = list(PUBLISHED[name])
    folder = Path(files[-1]).parent.name
    if Path(files[0]).parent.name:
        return [f"  path: {workspace / folder}"]
    return [f"  path: {workspace / files[0]}", f"  text_path: {workspace / folder}"]


def _listed(workspace: Path) -> dict[str, Brought]:
    from soundgate.store.assets import Brought

    path = workspace / LISTING
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text("utf-8"))
        return {file: Brought(**facts) for file, facts in read.items()}
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is damaged: {error}; remove it and its folder") from error


def _write_listing(workspace: Path, listed: dict[str, Brought]) -> None:
    part = workspace / f".{LISTING}"
    facts = {file: asdict(brought) for file, brought in sorted(listed.items())}
    part.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    part.replace(workspace / LISTING)


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export-encoder``."""
    parser.add_argument("file", type=Path, help="the ONNX program to write")
    parser.add_argument("--encoder", default="clap-2023", help="its name (default: clap-2023)")
    parser.add_argument("--path", type=Path, required=True, help="its weights: a file or a folder")
    parser.add_argument(
        "--precision",
        choices=("fp32", "int8"),
        default="int8",
        help="of its matrix products (default: int8)",
    )


def export_encoder(args: argparse.Namespace) -> int:
    """Write an encoder as an ONNX program that ``encoder.name: onnx`` loads, on CPUs in 8 bits."""
    interface = importlib.import_module(INTERFACE)
    settings = interface.EncoderSettings(
        name=args.encoder, path=args.path, precision=args.precision
    )
    made = importlib.import_module(EXPORT).write_encoder(settings, args.file)
    print(
        f"wrote {args.file}: {made.size_bytes / 1e6:.1f} MB; of noise, embeddings differ from "
        f"torch's by at most {made.largest_difference:.2g}, cosine at least "
        f"{made.least_cosine:.6f}"
    )
    return 0


def head_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export-head``."""
    parser.add_argument("model", type=Path, help="model folder of a head on embeddings")
    parser.add_argument("file", type=Path, help="the ONNX program to write")
    parser.add_argument("--encoder", type=Path, help="weights of its encoder")


def export_head(args: argparse.Namespace) -> int:
    """Write a head and its encoder as one ONNX program, from waveforms to scores."""
    made = importlib.import_module(EXPORT_HEAD).write_head(args.model, args.encoder, args.file)
    print(
        f"wrote {args.file}: {made.size_bytes / 1e6:.1f} MB; {made.samples} samples at "
        f"{made.sample_rate_hz} Hz; of noise, scores differ from torch's by at most "
        f"{made.largest_difference:.2g}"
    )
    return 0
