"""Carrying a decision out in MLflow: the released version, its aliases, the tags.

Every step finds what an earlier, interrupted one left, so that carrying a decision out twice, even
at the same time, ends as once would. ``review.deciding`` on the released model, which only its
reviewers may write, holds the digest of the decision: what is not announced there is never carried
out on behalf of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.registry.candidates.registration import STATUS_TAG, candidates_of
from soundgate.registry.review.decisions import (
    APPLIED,
    DONE,
    FAILED,
    Decision,
    Outcome,
    approval_of,
    candidate_of,
    status_of,
)
from soundgate.registry.service.mlflow_errors import is_refusal
from soundgate.registry.service.tracking import quoted
from soundgate.registry.versions.lookup import ABSENT, registered_model

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from soundgate.registry.review.decisions import DecisionLog, Entry

CHAMPION, PREVIOUS = "champion", "previous"
DECIDING_TAG = "review.deciding"
RELEASE_TAG = "review.release"


def announced(client: MlflowClient, decision: Decision) -> bool:
    """Whether somebody who may write the released model announced this very decision there."""
    model = registered_model(client, decision.model)
    return model is not None and model.tags.get(DECIDING_TAG) == decision.sha256


def announce(client: MlflowClient, decision: Decision) -> None:
    """Say on the released model what is about to be done; makes the model where it is absent."""
    from mlflow.exceptions import MlflowException

    if registered_model(client, decision.model) is None:
        try:
            client.create_registered_model(decision.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    client.set_registered_model_tag(decision.model, DECIDING_TAG, decision.sha256)


def carry_out(client: MlflowClient, decision: Decision, log: DecisionLog) -> Outcome:
    """Bring MLflow to what the decision says, and record that it was done."""
    done = log.outcome(decision.number)
    if done is not None:
        return done
    at = _alias(client, decision.model, CHAMPION)
    released = _existing_release(client, decision) if decision.verdict == "approve" else None
    if decision.verdict != "reject" and at not in _expected(decision, released):
        return log.close(
            Outcome(
                number=decision.number,
                state=FAILED,
                reason=f"{CHAMPION} of {decision.model!r} was moved from version "
                f"{decision.expected_champion} to {at} meanwhile, not by review-model",
            )
        )
    # The version is made before the aliases move: they never point at what is not there.
    if decision.verdict == "approve" and released is None:
        released = _release(client, decision)
    champion, previous = at, _alias(client, decision.model, PREVIOUS)
    if decision.verdict != "reject":
        champion, previous = decision.target or released, decision.expected_champion
        _point(client, decision.model, champion, previous)
    reason = _tag(client, decision, released, log.entries())
    outcome = log.close(
        Outcome(
            number=decision.number,
            state=APPLIED,
            reason=reason,
            released=released,
            champion=champion,
            previous=previous,
        )
    )
    _yield_to_later(client, decision, log)
    return outcome


def _release(client: MlflowClient, decision: Decision) -> str:
    """Copy the candidate to the released model, with its tags, in one request."""
    source = client.get_model_version(candidates_of(decision.model), str(decision.candidate))
    tags = {**source.tags, **_tags(decision), RELEASE_TAG: decision.id}
    created = client.create_model_version(
        decision.model,
        f"models:/{source.name}/{source.version}",
        run_id=source.run_id,
        tags=tags,
        description=source.description,
    )
    # MLflow has no create-if-absent. Of two that finish the same decision the lower version stays.
    first = _existing_release(client, decision) or str(created.version)
    if int(first) < int(created.version):
        client.delete_model_version(decision.model, str(created.version))
    return first


def _existing_release(client: MlflowClient, decision: Decision) -> str | None:
    found = client.search_model_versions(
        f"name = {quoted(decision.model)} and tags.`{RELEASE_TAG}` = {quoted(decision.id)}"
    )
    return str(min(int(version.version) for version in found)) if found else None


def _alias(client: MlflowClient, model: str, alias: str) -> str | None:
    found = registered_model(client, model)
    at = found.aliases.get(alias) if found else None
    return None if at is None else str(at)


def _expected(decision: Decision, released: str | None) -> set[str | None]:
    """Where the champion may be: as it was, or where an interrupted attempt brought it."""
    moved = {version for version in (decision.target, released) if version is not None}
    return {decision.expected_champion, *moved}


def _point(client: MlflowClient, model: str, champion: str | None, previous: str | None) -> None:
    """Move the aliases, the earlier champion's first: it is never without one."""
    if previous is not None:
        client.set_registered_model_alias(model, PREVIOUS, previous)
    if champion is not None:
        client.set_registered_model_alias(model, CHAMPION, champion)


def _yield_to_later(client: MlflowClient, decision: Decision, log: DecisionLog) -> None:
    """Where a later decision was carried out while this one was, the later one's aliases stay."""
    later = [e.outcome for e in log.entries() if e.applied and e.decision.number > decision.number]
    if later and later[-1] is not None:
        _point(client, decision.model, later[-1].champion, later[-1].previous)


def _tag(
    client: MlflowClient, decision: Decision, released: str | None, entries: list[Entry]
) -> str:
    """Write decisions on the versions that they are about; returns what could not be written."""
    from mlflow.exceptions import MlflowException

    faults = []
    for name, version, tags in _tagged(decision, released, entries):
        try:
            for key, value in tags.items():
                client.set_model_version_tag(name, version, key, value)
        except MlflowException as error:
            if error.error_code == ABSENT:
                faults.append(f"{name} version {version} could not be tagged: it was deleted")
            elif is_refusal(error):
                faults.append(f"{name} version {version} could not be tagged: MLflow refused it")
            else:
                raise
    return "; ".join(faults)


def _tagged(
    decision: Decision, released: str | None, entries: list[Entry]
) -> list[tuple[str, str, dict[str, str]]]:
    """The versions that a decision changes: model, number, and the tags that each then has.

    A rollback is about the version that it withdraws. The one that it restores gets the words of
    its own approval back: the reason to withdraw another says nothing about it.
    """
    candidates = candidates_of(decision.model)
    said = _tags(decision)
    if decision.verdict != "rollback":
        about = [(decision.model, released, said), (candidates, decision.candidate, said)]
        return [(name, version, tags) for name, version, tags in about if version is not None]
    withdrawn, target = decision.expected_champion, decision.target
    approval = approval_of(target, entries)
    again = _tags(approval) if approval else {STATUS_TAG: DONE["approve"]}
    restored = approval.candidate if approval else None
    if restored is not None and status_of(restored, entries) == DONE["reject"]:
        restored = None  # released by an override: the candidate stays rejected
    about = [
        (decision.model, withdrawn, said),
        (candidates, candidate_of(withdrawn, entries), said),
        (decision.model, target, again),
        (candidates, restored, again),
    ]
    return [(name, version, tags) for name, version, tags in about if version is not None]


def _tags(decision: Decision) -> dict[str, str]:
    tags = {
        STATUS_TAG: DONE[decision.verdict],
        "review.by": decision.by,
        "review.at": decision.at,
        "review.comment": decision.comment,
        "review.report_digest": decision.report_digest,
        "review.record": str(decision.number),
    }
    return {key: value for key, value in tags.items() if value}
