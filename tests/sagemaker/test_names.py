"""Which task a step belongs to, also where a name is too long, or another task's."""

from __future__ import annotations

import pytest
import toy_graphs as toy

from soundgate.executors.sagemaker.rendering.names import owner_of, step_name
from soundgate.executors.sagemaker.service import executions
from soundgate.executors.sagemaker.validation.references import all_steps
from soundgate.pipeline import Pipeline

LONG = "g" * 62


@pytest.mark.parametrize(
    ("step", "task"),
    [
        ("gate-clip", "gate-clip"),
        ("gate-clip-missed", "gate-clip"),
        ("register-package", "register"),
        ("train-2-gather-1", "train-2"),
        ("train-gather-1", "train"),
        ("train-gather-12", "train"),
        ("train-2-missed-2", None),
        ("trainer", None),
    ],
)
def test_steps_belong_to_the_task_that_they_were_added_to(step, task):
    known = ["gate", "gate-clip", "register", "train", "train-2"]
    assert owner_of(step, known) == task


@pytest.mark.parametrize("added", ["missed", "verdict", "package", "gather-1", "gather-12"])
def test_a_name_fits_is_free_and_leads_back(added):
    known = {f"{LONG}1", f"{LONG}2", "gate", f"gate-{added}", "g" * 57}
    names = {task: step_name(task, added, known) for task in known}
    assert len(set(names.values()) | known) == 2 * len(known)
    assert {owner_of(step, known): step for step in names.values()} == names
    assert max(map(len, names.values())) <= 64


@pytest.mark.parametrize("names", [(f"{LONG}1", f"{LONG}2"), ("gate", "gate-missed")])
def test_a_miss_is_the_miss_of_its_own_gate(tmp_path, names):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    for name in names:
        p.gate(report, metric=toy.ACCURACY, at_least=0.5, name=name)
    definition = toy.render(p, tmp_path).definition
    owned = executions.steps_by_task(definition, p.tasks)
    fails = [step for step in all_steps(definition["Steps"]) if step.step["Type"] == "Fail"]
    assert {step.branches[-1][0] for step in fails} == set(names)
    for step in fails:
        gate, _ = step.branches[-1]
        assert owned[gate] == {gate: "Condition", step.name: "Fail"}
