"""The parameters of a definition: what can still be set when an execution starts.

Those of the pipeline come first, in the order in which steps use them; then the site's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from soundgate.executors.sagemaker.expressions import Expression

BUCKET, IMAGE, TRAINING_IMAGE, JOB_ROLE = (
    "bucket",
    "image_uri",
    "training_image_uri",
    "job_role_arn",
)
RUN, COMMIT, FRESH, APPROVAL = "run", "commit", "fresh", "model_approval_status"
OWN = (BUCKET, IMAGE, TRAINING_IMAGE, JOB_ROLE, RUN, COMMIT, FRESH, APPROVAL)
"""Names that a definition keeps for itself; a pipeline's parameter of such a name is a value."""

TYPES = ((bool, "Boolean"), (int, "Integer"), (float, "Float"), (str, "String"))


class Parameters:
    """Parameters as a definition comes to use them."""

    def __init__(self, opened: Mapping[str, Any]) -> None:
        """Begin with a pipeline's own: name to value in this render."""
        self.opened = {name: value for name, value in opened.items() if name not in OWN}
        self._used: dict[str, dict[str, Any]] = {}
        self._site: dict[str, dict[str, Any]] = {}

    def use(self, name: str) -> Expression:
        """Refer to a parameter of the pipeline."""
        self._used.setdefault(name, _declared(name, self.opened[name]))
        return {"Get": f"Parameters.{name}"}

    def site(self, name: str, default: str | None, choices: Sequence[str] = ()) -> Expression:
        """Refer to a parameter of the site; without a default it has to be given at the start.

        Raises:
            DefinitionError: the pipeline has one of that name.
        """
        if name in self.opened:
            raise DefinitionError(
                f"parameter {name!r} has the name of one that SageMaker's definition needs for "
                "itself; rename it"
            )
        declared = _declared(name, default)
        if choices:
            declared["EnumValues"] = list(choices)
        self._site.setdefault(name, declared)
        return {"Get": f"Parameters.{name}"}

    @property
    def declared(self) -> list[dict[str, Any]]:
        """The definition's ``Parameters``."""
        return [*self._used.values(), *self._site.values()]

    def defaults(self, names: Collection[str]) -> dict[str, Any]:
        """Return the default values of some of them."""
        return {p["Name"]: p.get("DefaultValue") for p in self.declared if p["Name"] in names}


def _declared(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {"Name": name, "Type": "String"}
    kind, label = next((k, label) for k, label in TYPES if isinstance(value, k))
    return {"Name": name, "Type": label, "DefaultValue": kind(value)}
