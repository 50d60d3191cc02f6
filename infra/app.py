"""The CDK app: ``cdk deploy`` in this folder, or ``python -m infra.app`` for the template alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from infra import settings
from infra.stacks.training import TrainingStack

if TYPE_CHECKING:
    from typing import Any


def declare(context: dict[str, Any] | None = None, outdir: str | None = None) -> App:
    """Return the app; its synthesis fails where cdk-nag finds what no reason was given for.

    Account and region stay open: CloudFormation knows them where the stack is deployed.

    Raises:
        ValueError: a context value is missing or wrong.
    """
    app = App(analytics_reporting=False, context=context, outdir=outdir)
    chosen = settings.read(app.node.try_get_context)
    TrainingStack(app, chosen.name, settings=chosen)
    Validations.of(app).add_plugins(AwsSolutionsChecks())
    return app


if __name__ == "__main__":
    declare().synth()
