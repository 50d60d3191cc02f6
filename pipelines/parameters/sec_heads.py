"""Parameters of the classifiers on embeddings, which ``pipelines.sec`` ends with."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.parameters.release import ReleaseParameters, gains, metric_of
from soundgate.audio.classification.heads.grids import Tried, heads_of
from soundgate.bounds import Fraction

CLIP_ACCURACY_GAIN, CLIP_ACCURACY_GAIN_LOW = gains(
    "clip:accuracy", "clip accuracy", "metrics.clip_accuracy"
)
"""Clip accuracy less the champion's on the same clips, and the interval's lower end."""

CLIP_ACCURACY = metric_of("clip_accuracy")
MACRO_F05 = metric_of("macro_f05")


@dataclass(frozen=True, kw_only=True)
class SecHeadParameters(ReleaseParameters):
    """Which heads are tried on the embeddings, and what the best must reach."""

    model_name: str = "sec"

    heads: list[str] = field(default_factory=lambda: ["quick"])
    """Grids of heads, of which the best by macro F0.5 on ``valid`` is tested: ``quick``, ``mlp``,
    or the published ``ridge``, ``sgd``, ``adam`` and ``xgboost``; or single heads,
    ``ridge:regularisation=3``; none: nothing is trained, and nothing registered."""

    prompt: str = "this is the sound of {}"
    """Sentence about a class, ``{}`` in its place, of the zero-shot baseline; it is computed where
    ``encoder.text_path`` names a text tower."""

    q_clip_level_acc_threshold: Fraction | None = 0.5
    """Gate: least share of test clips classified correctly; none: no such gate."""

    q_macro_f05_threshold: Fraction | None = None
    """Gate: least macro F0.5 of test segments; none: no such gate."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when heads are trained.

        Raises:
            ParameterError: a head is unknown.
        """
        super().__post_init__()
        if self.heads:
            heads_of(self.heads)

    @property
    def tried(self) -> dict[str, Tried]:
        """The heads by name."""
        return heads_of(self.heads)
