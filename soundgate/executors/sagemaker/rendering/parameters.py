"""The parameters of a definition: values that can be changed when an execution starts.

Those of the pipeline come first, in the order in which steps use them; then the site's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from soundgate.executors.sagemaker.rendering.expressions import Expression

BUCKET, IMAGE, TRAINING_IMAGE, JOB_ROLE = (
    "bucket",
    "image_uri",
    "training_image_uri",
    "job_role_arn",
)
RUN, COMMIT, FRESH, APPROVAL = "run", "commit", "fresh", "model_approval_status"
OWN = (BUCKET, IMAGE, TRAINING_IMAGE, JOB_ROLE, RUN, COMMIT, FRESH, APPROVAL)
"""Names reserved by the definition; a pipeline parameter with such a name stays a constant."""

TYPES = ((bool, "Boolean"), (int, "Integer"), (float, "Float"), (str, "String"))


class Parameters:
    """Collects the parameters that a definition uses."""

    def __init__(self, opened: Mapping[str, Any]) -> None:
        """Start with the pipeline's own parameters: name to value in this render."""
        self.opened = {name: value for name, value in opened.items() if name not in OWN}
        self._used: dict[str, dict[str, Any]] = {}
        self._site: dict[str, dict[str, Any]] = {}

    def use(self, name: str) -> Expression:
        """Refer to a parameter of the pipeline."""
        self._used.setdefault(name, _declared(name, self.opened[name]))
        return {"Get": f"Parameters.{name}"}

    def site(self, name: str, default: str | None, choices: Sequence[str] = ()) -> Expression:
        """Refer to a parameter of the site; without a default it must be given at the start.

        Raises:
            DefinitionError: the pipeline has a parameter of that name.
        """
        if name in self.opened:
            raise DefinitionError(
                f"parameter {name!r} is a name that SageMaker's definition reserves for itself; "
                "rename it"
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
