"""An AWS account and a project in it, as tests name them."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGION = "eu-west-1"
BUCKET = "artifacts-of-the-project"
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "sagemaker.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
CONNECTION = "arn:aws:codeconnections:eu-west-1:111122223333:connection/a-b"
PROVIDER = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
CONTEXT = {
    "repository": "acme/sounds",
    "connection_arn": CONNECTION,
    "github_provider_arn": PROVIDER,
    "release_email": "releases@example.org",
}
