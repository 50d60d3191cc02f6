"""What ``soundgate prepare-datasets`` does: a folder beside a corpus for every active strategy."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.corpora.preparing import DATASET, prepare, summary
from soundgate.audio.datasets.corpora.strategies import read_strategies
from soundgate.audio.formats.datasets.variant import VARIANT_INDEX
from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soundgate.audio.datasets.corpora.strategies import Strategies, Strategy

CONFIGS: Final = "dataset_prep_configs.json"


def prepare_all(
    corpus: Path,
    config: Path | None,
    names: Sequence[str] = (),
    out: Path | None = None,
    *,
    spectrograms: bool = False,
) -> Iterator[str]:
    """Write ``dataset_<name>/`` for each strategy, each whole or not at all.

    Args:
        corpus: a corpus with its index.
        config: the strategies; None: ``dataset_prep_configs.json`` of the corpus or of here.
        names: strategies; none: those the file calls active.
        out: folder of the data sets; None: the corpus.
        spectrograms: whether every file gets a picture.

    Yields:
        What was written, a line each.

    Raises:
        ConfigError: the file is wrong.
        DataError: a corpus is wrong, or a folder in the way is no data set.
        ParameterError: there is no such file or strategy.
    """
    strategies = read_strategies(config or _config_of(corpus))
    for name, strategy in _chosen(strategies, names).items():
        target = (out or corpus) / f"{DATASET}{name}"
        partial = target.with_name(f".{target.name}.partial")
        _refuse_other(target)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            variant = prepare(corpus, partial, name, strategy, spectrograms=spectrograms)
            _replace(partial, target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        yield f"{target}: written"
        yield from summary(variant)


def _config_of(corpus: Path) -> Path:
    for folder in (corpus, Path()):
        if (folder / CONFIGS).is_file():
            return folder / CONFIGS
    raise ParameterError(f"{corpus / CONFIGS}: is not there; name the strategies with --config")


def _chosen(strategies: Strategies, names: Sequence[str]) -> dict[str, Strategy]:
    if not names:
        return strategies.chosen()
    for name in names:
        if name not in strategies.by_name:
            raise ParameterError(f"no strategy {name!r}{nearest(name, strategies.by_name)}")
    return {name: strategies.by_name[name] for name in names}


def _refuse_other(target: Path) -> None:
    """Refuse to replace a folder that is no data set."""
    if target.exists() and not (target / VARIANT_INDEX).is_file():
        raise DataError(
            f"{target}: is in the way and has no {VARIANT_INDEX}; move it or choose another --out"
        )


def _replace(partial: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)
