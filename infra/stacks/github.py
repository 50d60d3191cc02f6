"""A role for the workflow of GitHub Actions: it signs in by its token, and no key is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.stacks import permissions
from infra.stacks.permissions import give

if TYPE_CHECKING:
    from infra.stacks.site import Site

ISSUER = "token.actions.githubusercontent.com"


class GithubRole(Construct):
    """What ``.github/workflows/train.yml`` may do, from one branch of one repository."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        """Declare the role; the account's OIDC provider is there already, one for all roles."""
        settings = site.settings
        super().__init__(scope, construct_id)
        from_branch = f"repo:{settings.repository}:ref:refs/heads/{settings.branch}"
        token = {
            "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": from_branch}
        }
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.WebIdentityPrincipal(settings.github_provider_arn, token),
            description=f"Trains from {settings.repository}, branch {settings.branch}",
            max_session_duration=Duration.hours(12),
        )
        give(
            self.role,
            *permissions.push_images(site.storage.images),
            *site.submitting(self),
        )
