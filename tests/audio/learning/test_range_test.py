"""The learning-rate range test: a quadratic whose right rate is known, and nothing left behind."""

from __future__ import annotations

import dataclasses

import matplotlib.image
import pytest
import torch

from soundgate.audio.learning import loop
from soundgate.audio.learning.rates.range_test import Range, draw, range_test, suggested
from soundgate.audio.learning.recipe import Optimiser, Recipe
from soundgate.audio.learning.system import Loss
from soundgate.errors import ConfigError

SGD = Recipe(
    epochs=1, seed=3, optimiser=Optimiser(name="sgd", learning_rate=0.5), precision="float32"
)


class Quadratic:
    """Half of curvature times the square of one weight, and dropout on what is not counted."""

    average, batches, merit, fingerprint = None, 1, (), "quadratic"

    def __init__(self, curvature, sign=1.0):
        self.curvature, self.sign = curvature, sign
        self.network = torch.nn.ModuleDict(
            {"line": torch.nn.Linear(1, 1, bias=False), "norm": torch.nn.BatchNorm1d(1)}
        )
        self.network["line"].weight.data.fill_(2.0)

    def start(self):
        pass

    def epoch(self, number):
        yield torch.ones(1, 1)

    def loss(self, batch, step):
        self.network["norm"](torch.randn(4, 1))  # draws, and changes running statistics
        weight = self.network["line"].weight.squeeze()
        return Loss(self.sign * self.curvature / 2 * weight**2, 1)

    def validate(self):
        return {}

    def weights(self):
        return self.network.state_dict()

    def state(self):
        return {}

    def restore(self, state):
        pass


def course(system, recipe=SGD, **tried):
    with loop.session() as group:
        return range_test(system, recipe, group=group, tried=Range(**{"smoothing": 0, **tried}))


@pytest.mark.parametrize("curvature", [1.0, 30.0])
def test_the_rate_of_a_quadratic_is_the_one_that_can_be_calculated(curvature):
    """With rates rising by r a step, the loss exp(-2 c rate / (r - 1)) falls most steeply there."""
    found = course(Quadratic(curvature), first=1e-6, last=10.0, steps=141)
    factor = 10 ** (7 / 140)
    assert found.rates[0] == pytest.approx(1e-6)
    assert found.rates[1] / found.rates[0] == pytest.approx(factor)
    assert found.losses[0] == pytest.approx(2 * curvature)
    expected = (factor - 1) / (2 * curvature)
    assert expected / factor**2 <= found.suggested <= expected * factor**2
    assert found.suggested < 2 / curvature, "gradient descent diverges from there on"


def test_it_ends_where_the_loss_has_left_its_lowest_value():
    found = course(Quadratic(1.0), first=1e-3, last=1e4, steps=100)
    assert len(found.rates) < 100
    assert max(found.losses) <= 4.0 * found.losses[0]


def test_weights_statistics_modes_and_random_numbers_are_left_as_they_were():
    system = Quadratic(1.0)
    system.network["norm"].eval()
    system.network["norm"].requires_grad_(False)
    before = {name: value.clone() for name, value in system.network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    with loop.session() as group:
        torch.manual_seed(5)
        range_test(system, SGD, group=group)
        assert torch.equal(torch.rand(3), expected)
    for name, value in system.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert system.network.training
    assert not system.network["norm"].training
    assert [p.requires_grad for p in system.network.parameters()] == [True, False, False]
    assert all(p.grad is None for p in system.network.parameters())


def test_accumulated_batches_are_one_step_of_the_course():
    system = Quadratic(1.0)
    system.batches = 4
    system.epoch = lambda number: [torch.ones(1, 1)] * 4
    found = course(system, dataclasses.replace(SGD, accumulate=2), first=1e-4, last=1e-2, steps=10)
    assert len(found.rates) == 10


def test_a_loss_that_never_falls_is_one_line():
    with pytest.raises(ConfigError, match=r"^training\.lr_range_test: the loss falls at no"):
        suggested([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [1.0, 1.1, 1.2, 1.3, 1.4])


def test_the_plot_shows_a_curve(tmp_path):
    draw(course(Quadratic(1.0)), tmp_path / "plot.png")
    drawn = matplotlib.image.imread(tmp_path / "plot.png")
    assert drawn.shape[:2] == (400, 600)
    assert drawn[..., :3].std() > 0.05
