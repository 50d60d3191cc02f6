"""The clips of several layouts as one data set, with one set of labels.

A label that a layout never looked for is masked in its clips. Labels that no clip has are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets import preparation
from soundgate.audio.datasets.base import Dataset, NoOptions, Source
from soundgate.audio.datasets.layouts import irmas, openmic, strings, tables
from soundgate.audio.datasets.layouts.listing import LayoutFolder, Listing
from soundgate.audio.datasets.layouts.overrides import override
from soundgate.audio.files import reading
from soundgate.audio.formats.record import Record, read_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TRAINING: Final = "training"
FOLDERS: Final = {
    strings.IRMAS_TRAIN: irmas.list_training,
    strings.IRMAS_TEST: irmas.list_test,
    strings.OPENMIC: openmic.list_clips,
}
"""How a folder of each type is listed."""


class PlannedLayout(Record):
    """A layout as a pipeline declared it; see ``declaration.Brought``."""

    kind: str
    path: str
    split: str | None
    folders: dict[str, str]
    table: str | None


class CollectionPlan(Record):
    """What is collected: a JSON file that a pipeline writes."""

    layouts: tuple[PlannedLayout, ...]
    overrides: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def name(self) -> str:
        """What reports call the data set."""
        return "+".join(f"{each.kind}:{PurePosixPath(each.path).name}" for each in self.layouts)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A folder, and its clips with what was looked for in each."""

    source: Source
    clips: list[Clip]


def read_plan(path: Path) -> CollectionPlan:
    """Read a plan.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_record(path, CollectionPlan, remedy="submit the pipeline again")


def collect(plan: CollectionPlan, inputs: Mapping[str, Path], out: Path) -> None:
    """Write the ``clips/`` folder of the layouts, whole or not at all.

    Args:
        plan: which layouts.
        inputs: the folders and tables, by the names that the plan gives them.
        out: a folder that is empty or does not exist.

    Raises:
        DataError: a table, a name or a label is wrong, a file is listed twice, or there is no clip.
    """
    listed = [each for layout in plan.layouts for each in _list(layout, plan, inputs)]
    for name in plan.overrides:
        listed = _overridden(listed, inputs[name])
    labels = {label for each in listed for clip in each.clips for label in clip.labels}
    never = {label for each in listed for clip in each.clips for label in clip.judged or ()}
    if missing := sorted(never - labels):
        print(f"no clip has these labels, which are left out: {', '.join(missing)}")
    found = {each.source: [_settled(clip, labels) for clip in each.clips] for each in listed}

    def list_clips(source: Source, _options: NoOptions) -> Iterable[Clip]:
        return found[source]

    dataset = Dataset(
        name=plan.name,
        title=plan.name,
        licence="not stated",
        citation="",
        homepage="",
        labels="What the folders and tables that were given say of the clip.",
        list_clips=list_clips,
        options=NoOptions,
        own_split=True,
        unlabelled=True,
    )
    preparation.prepare(dataset, list(found), out, NoOptions(), tolerant=True)


def _list(layout: PlannedLayout, plan: CollectionPlan, inputs: Mapping[str, Path]) -> list[_Listed]:
    folders = {prefix: inputs[name] for prefix, name in layout.folders.items()}
    if layout.table is None:
        (folder,) = folders.values()
        root = LayoutFolder(folder, layout.split, plan.labels, both_sides=_is_alone(plan))
        listing = FOLDERS.get(layout.kind, _unlabelled)(root)
        return [_listed(Source(folder, split=layout.split), listing)]
    table = inputs[layout.table]
    read = tables.list_unlabelled if layout.kind == strings.INFERENCE else tables.list_labelled
    return [
        _listed(Source(folders[prefix], table, layout.split), listing)
        for prefix, listing in read(table, folders).items()
    ]


def _is_alone(plan: CollectionPlan) -> bool:
    """Whether a layout's own division stands: all is OpenMIC, and no other side is given."""
    return all(each.kind == strings.OPENMIC and each.split == TRAINING for each in plan.layouts)


def _unlabelled(root: LayoutFolder) -> Listing:
    found = [path.relative_to(root.folder).as_posix() for path in reading.find(root.folder)]
    if not found:
        raise DataError(f"{root.folder}: contains no audio: check the path")
    return Listing([Clip(name, ()) for name in found])


def _listed(source: Source, listing: Listing) -> _Listed:
    """Say of every clip what was looked for in it, where the layout knows."""
    judged = listing.judged
    if judged is None:
        return _Listed(source, listing.clips)
    return _Listed(
        source,
        [
            replace(clip, judged={label: float(label in clip.labels) for label in sorted(judged)})
            for clip in listing.clips
        ],
    )


def _overridden(listed: Sequence[_Listed], table: Path) -> list[_Listed]:
    trained = [each for each in listed if each.source.split == TRAINING]
    changed = iter(override([clip for each in trained for clip in each.clips], table))
    return [
        _Listed(each.source, [next(changed) for _ in each.clips]) if each in trained else each
        for each in listed
    ]


def _settled(clip: Clip, labels: set[str]) -> Clip:
    """Keep of ``judged`` what is learnt, and nothing where all is known for certain."""
    if clip.judged is None:
        return clip
    kept = {label: value for label, value in clip.judged.items() if label in labels}
    certain = kept.keys() == labels and all(value in (0, 1) for value in kept.values())
    return replace(clip, judged=None if certain else kept)
