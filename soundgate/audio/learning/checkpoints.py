"""Checkpoints of a training: whole or absent, and never of another training."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.learning.recipe import Recipe

NAME = "training.pt"

_DIGEST_BYTES = hashlib.sha256().digest_size


def write(folder: Path, state: dict[str, Any], fingerprint: str) -> None:
    """Replace the checkpoint in ``folder``; at any instant there is the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save({"fingerprint": fingerprint, **state}, buffer)
    payload = buffer.getvalue()
    partial = folder / f"{NAME}.{os.getpid()}.partial"
    with partial.open("wb") as file:
        file.write(hashlib.sha256(payload).digest() + payload)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / NAME)


def read(folder: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state last written to ``folder``; None where there is none that can be used.

    A damaged checkpoint and one of another training (data, split or config differ) are passed over
    with a printed sentence: the training then starts from the beginning. Partial files, which a
    killed process leaves behind, are removed.
    """
    for partial in folder.glob(f"{NAME}.*.partial"):
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
    path = folder / NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        print(f"{path} is damaged; training starts from the beginning", flush=True)
        return None
    # The digest proves that the file is whole; weights_only that it holds data and no code.
    state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    if state.pop("fingerprint", None) != fingerprint:
        print(f"{path} is of another training; training starts from the beginning", flush=True)
        return None
    return state


def fingerprint(system: str, recipe: Recipe, world: int) -> str:
    """Changes with anything that a resumed training must share with its first attempt."""
    facts = {"system": system, "recipe": repr(recipe), "world": world, "torch": torch.__version__}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
