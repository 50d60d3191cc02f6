"""Losses of multi-label networks, against torchvision, by hand, and by their gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from soundgate.audio.clips.families import IRMAS_FAMILIES, members
from soundgate.audio.learning.objectives.multilabel import (
    OBJECTIVES,
    MultiLabelLoss,
    Objective,
    focal,
    positive_weights,
)
from soundgate.errors import ConfigError

IRMAS = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    logits = 4 * torch.randn(16, 11, generator=generator)
    return logits, (torch.rand(16, 11, generator=generator) < 0.3).float()


def every_loss(**numbers):
    families = members(IRMAS)
    return [
        MultiLabelLoss(Objective(name=name, **numbers), weights=[2.0] * 11, families=families)
        for name in OBJECTIVES
    ]


def test_cross_entropy_is_torch_s_with_and_without_weights(batch):
    weights = torch.linspace(0.5, 9, 11)
    plain = MultiLabelLoss(Objective())
    weighted = MultiLabelLoss(Objective(name="CROSS_ENTROPY_POS_WEIGHT"), weights=weights.tolist())
    expected = functional.binary_cross_entropy_with_logits(*batch)
    torch.testing.assert_close(plain(*batch), expected)
    expected = functional.binary_cross_entropy_with_logits(*batch, pos_weight=weights)
    torch.testing.assert_close(weighted(*batch), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_and_its_gradient_are_torchvision_s(batch, gamma):
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    logits, targets = batch
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    mine = MultiLabelLoss(Objective(name="FOCAL_LOSS", gamma=gamma))(ours, targets)
    other = ops.sigmoid_focal_loss(theirs, targets, alpha=-1, gamma=gamma, reduction="mean")
    torch.testing.assert_close(mine, other)
    mine.backward()
    other.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_focal_by_hand_is_alike_for_positives_and_negatives():
    # A positive and a negative that are both decided with probability 0.9: 0.1**2 * -log(0.9).
    logit = math.log(9.0)
    losses = focal(torch.tensor([[logit, -logit]]), torch.tensor([[1.0, 0.0]]), gamma=2.0)
    expected = 0.01 * -math.log(0.9)
    torch.testing.assert_close(losses, torch.tensor([[expected, expected]]))
    # A confident wrong answer keeps its loss: with (1 - p)**2 for negatives it would vanish.
    wrong = focal(torch.tensor([[8.0]]), torch.tensor([[0.0]]), gamma=2.0)
    assert float(wrong) == pytest.approx(8.0, rel=1e-3)


def test_focal_with_weights_multiplies_the_positive_part_only():
    logits, targets = torch.tensor([[0.3, 0.3]]), torch.tensor([[1.0, 0.0]])
    plain = focal(logits, targets, gamma=2.0)
    weighted = focal(logits, targets, gamma=2.0, weights=torch.tensor([3.0, 3.0]))
    torch.testing.assert_close(weighted, plain * torch.tensor([[3.0, 1.0]]))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("value", [200.0, -200.0, 0.0])
def test_extreme_logits_have_finite_losses_and_gradients(gamma, value):
    for loss in every_loss(gamma=gamma):
        logits = torch.full((2, 11), value, requires_grad=True)
        targets = torch.zeros(2, 11)
        targets[0] = 1.0
        found = loss(logits, targets)
        found.backward()
        assert torch.isfinite(found), loss.objective.name
        assert torch.isfinite(logits.grad).all(), loss.objective.name


def test_what_is_not_annotated_counts_in_no_loss_and_no_gradient(batch):
    logits, targets = batch
    mask = torch.rand(logits.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    mask[3] = False
    for loss in every_loss():
        first, second = logits.clone().requires_grad_(), logits.clone()
        second[~mask] = 50.0
        holes = targets.masked_fill(~mask, math.nan)
        found = loss(first, holes, mask)
        found.backward()
        assert float(found.detach()) == pytest.approx(float(loss(second, targets, mask)))
        assert (first.grad[~mask] == 0).all()
        assert (first.grad[mask] != 0).any()


def test_mean_is_over_annotated_labels():
    mask = torch.tensor([[True, False, False], [False, False, True]])
    targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = MultiLabelLoss(Objective())(torch.zeros(2, 3), targets, mask)
    assert float(found) == pytest.approx(math.log(2))


def test_nothing_annotated_is_zero_with_gradient_zero():
    for loss in every_loss():
        logits = torch.ones(2, 11, requires_grad=True)
        found = loss(logits, torch.full((2, 11), math.nan), torch.zeros(2, 11, dtype=torch.bool))
        found.backward()
        assert float(found.detach()) == 0.0
        assert (logits.grad == 0).all()


def test_family_loss_by_hand():
    loss = MultiLabelLoss(
        Objective(name="INSTRUMENT_FAMILY_LOSS", family_weight=0.5),
        families={"strings": (0, 2), "voice": (1,)},
    )
    logits = torch.tensor([[1.0, -2.0, 3.0]])
    targets = torch.tensor([[1.0, 0.0, 0.0]])
    labels = [math.log1p(math.exp(-1)), math.log1p(math.exp(-2)), math.log1p(math.exp(3))]
    # Strings are there (label 0) and their highest logit is label 2's.
    families = [math.log1p(math.exp(-3)), math.log1p(math.exp(-2))]
    expected = sum(labels) / 3 + 0.5 * sum(families) / 2
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-6)


def test_a_family_is_annotated_by_one_positive_or_by_all_its_labels():
    loss = MultiLabelLoss(Objective(name="INSTRUMENT_FAMILY_LOSS"), families={"strings": (0, 1)})
    logits, half = torch.zeros(1, 2), torch.tensor([[True, False]])
    label = math.log(2)
    # A negative of two: the other may be there, so the family is not judged.
    assert float(loss(logits, torch.tensor([[0.0, 0.0]]), half)) == pytest.approx(label)
    assert float(loss(logits, torch.tensor([[1.0, 0.0]]), half)) == pytest.approx(2 * label)
    both = torch.tensor([[True, True]])
    assert float(loss(logits, torch.tensor([[0.0, 0.0]]), both)) == pytest.approx(2 * label)


def test_losses_of_half_precision_logits_are_float32(batch):
    logits, targets = batch
    for loss in every_loss():
        assert loss(logits.bfloat16(), targets).dtype == torch.float32


def test_positive_weights_are_annotated_negatives_over_positives():
    targets = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 0], [1, 0, 1, 0]], float)
    mask = np.ones_like(targets, bool)
    mask[2, 0] = False
    found = positive_weights(targets, mask)
    assert found.weights == (0.5, 1.0, 1.0, 3.0)
    assert found.one_sided == (1, 2)
    assert positive_weights(targets).weights[0] == 1.0


def test_irmas_families_cover_the_eleven_labels_once():
    listed = [label for own in IRMAS_FAMILIES.values() for label in own]
    assert sorted(listed) == list(IRMAS)
    assert members(IRMAS)["woodwinds"] == (1, 2, 7)
    assert members(("vio", "tru")) == {"strings": (0,), "brass": (1,)}
    assert members(("dog", "vio")) == {}
    assert members(("dog", "cat"), {"pets": ("cat", "dog")}) == {"pets": (0, 1)}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: MultiLabelLoss(Objective(name="FOCAL")), "did you mean 'FOCAL_LOSS'?"),
        (lambda: MultiLabelLoss(Objective(gamma=-1.0)), "gamma must be 0 or more, got -1.0"),
        (lambda: MultiLabelLoss(Objective(name="INSTRUMENT_FAMILY_LOSS")), "label_families"),
        (lambda: MultiLabelLoss(Objective(name="FOCAL_LOSS_POS_WEIGHT")), "needs weights"),
        (lambda: members(("vio",), {"x": ("voi",)}), "label_families.x: no label 'voi'"),
        (lambda: members(("vio",), {"x": ()}), "label_families.x: is empty"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(call, said):
    with pytest.raises(ConfigError) as raised:
        call()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
