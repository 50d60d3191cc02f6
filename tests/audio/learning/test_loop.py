"""The training loop on systems that are no classifiers of patches, in milliseconds."""

from __future__ import annotations

import contextlib
import json
import math
import re
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from soundgate.audio.learning import checkpoints, log, loop
from soundgate.audio.learning.averaging import WeightAverage
from soundgate.audio.learning.distributed import Group
from soundgate.audio.learning.log import TrainingLog
from soundgate.audio.learning.recipe import (
    EarlyStopping,
    Monitor,
    Optimiser,
    ParameterGroup,
    Plateau,
    Recipe,
    Schedule,
)
from soundgate.audio.learning.system import Loss, Mean
from soundgate.errors import ConfigError, Stopped

PAGE = Path(__file__).resolve().parents[3] / "docs" / "training-loop.md"
ALONE = Group(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def page():
    """The example of the page, as a module."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    module = types.ModuleType("training_loop_page")
    exec(compile(code, PAGE.name, "exec"), module.__dict__)
    return module


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, nothing is tidied up."""


# ----- the page's two-source mean teacher


def test_the_example_learns_and_logs_what_it_names(page, capsys):
    learnt = page.learn()
    lines = capsys.readouterr().out.splitlines()
    said = re.compile(
        r"epoch (\d) of 4: loss [\d.]+, error [\d.]+, consistency [\d.]+, "
        r"validation error [\d.]+, learning rate \d\.\d\de[+-]\d\d, [\d.]+ s"
    )
    assert [said.fullmatch(line).group(1) for line in lines] == ["1", "2", "3", "4"]
    assert said.search(PAGE.read_text("utf-8")), "the line the page shows"
    errors = [row["validation_error"] for row in learnt.history]
    assert errors[learnt.epoch - 1] == min(errors) == learnt.figures["validation_error"]
    assert min(errors) < 0.8 * errors[0]


def test_the_example_is_refused_by_no_rule_and_freezes_what_it_lists(page):
    torch.manual_seed(page.RECIPE.seed)
    before = page.TonePitch(ALONE).network.state_dict()
    weights = page.learn().weights
    for who in ("student", "teacher"):
        changed = {n for n, v in before.items() if not torch.equal(weights[f"{who}.{n}"], v)}
        assert changed == {"encoder.2.weight", "encoder.2.bias", "head.weight", "head.bias"}


@contextlib.contextmanager
def kill_in_call(monkeypatch, owner, name, number):
    """Let call ``number`` of a function, from 1, be the last thing the process does."""
    working, calls = getattr(owner, name), iter(range(1, number))

    def killing(*given):
        result = working(*given)
        if next(calls, None) is None:
            raise Killed
        return result

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, killing)
        yield


@pytest.mark.parametrize(("where", "times"), [("loss", 12), ("validate", 4), ("keep", 4)])
def test_killed_anywhere_the_example_ends_in_the_same_bits(
    page, tmp_path, monkeypatch, where, times
):
    whole = page.learn()
    owner, name = (checkpoints, "write") if where == "keep" else (page.TonePitch, where)
    for number in range(1, times + 1):
        folder = tmp_path / str(number)
        with kill_in_call(monkeypatch, owner, name, number), pytest.raises(Killed):
            page.learn(folder)
        resumed = page.learn(folder)
        assert same(resumed.weights, whole.weights), number
        assert (resumed.history, resumed.epoch) == (whole.history, whole.epoch), number


def test_the_example_s_history_is_whole_after_a_resume(page, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    page.learn(metrics=whole)
    with kill_in_call(monkeypatch, page.TonePitch, "validate", 3), pytest.raises(Killed):
        page.learn(tmp_path / "kept", cut)
    assert (cut / "history.jsonl").read_text().count("\n") == 2
    page.learn(tmp_path / "kept", cut)
    assert (cut / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


# ----- values that can be calculated


class Line:
    """Least squares of y = 3 x + 1 in float64, without anything random."""

    average = None
    merit = ()
    fingerprint = "line"

    def __init__(self, *, rows=4, batches=2, network=None):
        torch.manual_seed(0)
        self.network = network or nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1))
        self.network.double()
        self._rows, self.batches = rows, batches
        self.x = torch.linspace(-1, 1, 24, dtype=torch.float64)[:, None]
        self.seen = []

    def start(self):
        self.started = True

    def epoch(self, number):
        for k in range(self.batches):
            yield self.x[k * self._rows : (k + 1) * self._rows]

    def loss(self, batch, step):
        self.seen.append(step.number)
        error = (step.forward(batch) - (3 * batch + 1)) ** 2
        return Loss(error.mean(), len(batch), {"sum": Mean(error.detach().sum(), len(batch))})

    def validate(self):
        return {}

    def weights(self):
        return self.network.state_dict()

    def state(self):
        return {}

    def restore(self, state):
        pass


def recipe(**values):
    chosen = {
        "epochs": 1,
        "seed": 0,
        "precision": "float32",
        "optimiser": Optimiser(name="sgd", learning_rate=0.1),
    }
    return Recipe(**(chosen | values))


def train(system, chosen, **options):
    return loop.train(system, chosen, group=ALONE, log=TrainingLog(None), **options)


def gradients(system, batch):
    (system.network(batch) - (3 * batch + 1)).square().mean().backward()
    return {name: p.grad.clone() for name, p in system.network.named_parameters()}


def test_every_part_is_moved_at_its_own_rate():
    system = Line(batches=1)
    before = {name: p.detach().clone() for name, p in system.network.named_parameters()}
    slopes = gradients(Line(batches=1), system.x[:4])
    groups = (ParameterGroup(part="2", rate=0.25),)
    after = train(system, recipe(groups=groups, frozen=("0.bias",))).weights
    for name, rate in (("0.weight", 0.1), ("2.weight", 0.025), ("2.bias", 0.025), ("0.bias", 0.0)):
        assert torch.allclose(after[name], before[name] - rate * slopes[name], rtol=1e-12), name
    assert torch.equal(after["0.bias"], before["0.bias"])


def test_a_group_may_have_its_own_weight_decay_and_biases_have_none():
    spec = Optimiser(name="sgd", learning_rate=0.1, weight_decay=0.5)
    groups = (ParameterGroup(part="2", weight_decay=0.2),)
    after = train(Line(batches=1), recipe(optimiser=spec, groups=groups)).weights
    before = {name: p.detach() for name, p in Line().network.named_parameters()}
    slopes = gradients(Line(), Line().x[:4])
    for name, decay in (("0.weight", 0.5), ("2.weight", 0.2), ("0.bias", 0), ("2.bias", 0)):
        expected = before[name] - 0.1 * (slopes[name] + decay * before[name])
        assert torch.allclose(after[name], expected, rtol=1e-12), name


@pytest.mark.parametrize("batches", [4, 6])  # of 6, the last step has two batches and not four
def test_accumulated_batches_are_the_step_of_the_large_batch(batches):
    spec = Optimiser(name="adam", learning_rate=0.01, clip_norm=0.5)
    small = Line(rows=3, batches=batches)
    accumulated = train(small, recipe(optimiser=spec, epochs=3, accumulate=4))

    class Large(Line):
        def epoch(self, number):
            yield from (self.x[:12], self.x[12:18])[: self.batches]

    large = train(Large(batches=1 + (batches > 4)), recipe(optimiser=spec, epochs=3))
    for name, value in accumulated.weights.items():
        torch.testing.assert_close(value, large.weights[name], rtol=1e-12, atol=1e-14)
    steps_an_epoch = math.ceil(batches / 4)
    assert small.seen == [e * steps_an_epoch + k // 4 for e in range(3) for k in range(batches)]
    for one, other in zip(accumulated.history, large.history, strict=True):
        assert one["sum"] == pytest.approx(other["sum"], rel=1e-12)


def test_a_figure_is_the_mean_over_what_it_was_summed_over():
    class Uneven(Line):
        def epoch(self, number):
            yield from (self.x[:2], self.x[2:12])

        def loss(self, batch, step):
            found = super().loss(batch, step)
            known = (batch > -0.9).squeeze(1)
            parts = {"known": Mean(batch[known].sum(), known.sum()), "none": Mean(batch[0, 0], 0)}
            return Loss(found.total, found.rows, parts)

    system = Uneven()
    [row] = train(system, recipe(optimiser=Optimiser(name="sgd", learning_rate=1e-9))).history
    x = system.x[:12]
    expected = (system.network(x) - (3 * x + 1)).square().mean()
    assert row["loss"] == pytest.approx(expected.item(), rel=1e-6)
    assert row["known"] == pytest.approx(float(x[x > -0.9].mean()))
    assert "none" not in row, "nothing was counted"
    assert list(row) == ["epoch", "loss", "learning_rate", "known"]


def test_the_rate_follows_the_schedule_and_keeps_the_factors():
    chosen = recipe(
        epochs=3,
        schedule=Schedule(name="cosine", warmup_fraction=0.5),
        groups=(ParameterGroup(part="2", rate=0.5),),
    )
    history = train(Line(batches=2), chosen).history
    # Steps 1, 3 and 5 of 0 to 5: up to the middle, then half a cosine down to nothing.
    expected = [0.1 * 0.4, 0.1 * (1 + math.cos(math.pi * 0.2)) / 2, 0.0]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)


def test_the_average_is_the_mean_of_the_first_weights_then_an_exponential_one():
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, decay=0.75)
    values = [2.0, 4.0, 9.0, 1.0, 8.0, 5.0]
    expected = 0.0
    for step, value in enumerate(values):
        network.weight.data.fill_(value)
        average.update(step)
        decay = min(0.75, step / (step + 1))
        expected = decay * expected + (1 - decay) * value
        if step < 4:
            assert expected == pytest.approx(np.mean(values[: step + 1]))
        assert average.network.weight.item() == pytest.approx(expected, rel=1e-6)
    assert not average.network.weight.requires_grad


@pytest.mark.parametrize("copy_buffers", [True, False])
def test_the_average_leaves_frozen_weights_and_treats_statistics_as_told(copy_buffers):
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    network[0].weight.data /= 3.0  # no sum of shares of it is sure to give its bits again
    network[0].requires_grad_(False)
    average = WeightAverage(network, decay=0.9, copy_buffers=copy_buffers)
    network.train()
    for step in range(5):
        network(torch.randn(4, 3))
        average.update(step)
    assert torch.equal(average.network[0].weight, network[0].weight)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean) is copy_buffers


class Normalised(Line):
    """With batch normalisation and dropout in two blocks."""

    def __init__(self):
        def block():
            return nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1), nn.Dropout(0.5))

        network = nn.Sequential()
        network.add_module("first", block())
        network.add_module("second", block())
        super().__init__(network=network)


def test_frozen_parts_keep_weights_and_statistics_and_drop_nothing():
    system = Normalised()
    before = {name: v.clone() for name, v in system.network.state_dict().items()}
    after = train(system, recipe(frozen=("first",))).weights
    changed = {name for name, v in after.items() if not torch.equal(v, before[name])}
    assert changed
    assert all(name.startswith("second.") for name in changed)
    assert not system.network.first[2].training
    assert system.network.second[2].training


def test_statistics_can_stay_where_weights_learn():
    system = Normalised()
    before = {name: v.clone() for name, v in system.network.state_dict().items()}
    after = train(system, recipe(fixed_statistics=("first",))).weights
    changed = {name for name, v in after.items() if not torch.equal(v, before[name])}
    assert "first.0.bias" in changed
    assert not any(name.startswith("first") and "running" in name for name in changed)
    assert "second.1.running_mean" in changed
    assert system.network.first[2].training, "dropout goes on"


# ----- the best epoch, early ends, what is said


class Scripted(Line):
    """Its validation gives the figures it was handed, one an epoch."""

    def __init__(self, *figures):
        super().__init__()
        self.merit = (Monitor("score", rises=True), Monitor("cost", rises=False))
        self._figures = figures
        self.epochs = 0

    def validate(self):
        score, cost = self._figures[self.epochs]
        self.epochs += 1
        return {"score": score, "cost": cost}

    def state(self):
        return {"epochs": self.epochs}

    def restore(self, state):
        self.epochs = state["epochs"]


def test_the_best_epoch_is_kept_and_of_equal_ones_the_better_by_the_next_figure():
    system = Scripted((0.5, 1.0), (0.7, 3.0), (0.7, 2.0), (0.7, 2.0), (0.6, 0.0))
    learnt = train(system, recipe(epochs=5))
    assert learnt.epoch == 3
    assert not same(learnt.weights, system.network.state_dict()), "not of the last"
    assert same(learnt.weights, train(Line(), recipe(epochs=3)).weights)


def test_early_stopping_and_a_plateau_act_and_survive_a_kill(tmp_path):
    figures = [(0.5, 1.0), (0.4, 1.0), (0.4, 1.0), (0.4, 1.0), (0.9, 1.0)]
    watched = Monitor("score", rises=True)
    chosen = recipe(
        epochs=5,
        plateau=Plateau(monitor=watched, patience=2, factor=0.5),
        early_stopping=EarlyStopping(monitor=watched, patience=3),
    )
    whole = train(Scripted(*figures), chosen)
    assert [row["learning_rate"] for row in whole.history] == [0.1, 0.1, 0.1, 0.05]
    batches = iter(range(5))
    with pytest.raises(Stopped, match="stopped in epoch 3; epochs up to 2 are kept"):
        train(Scripted(*figures), chosen, checkpoints=tmp_path, stop=lambda: next(batches) == 4)
    resumed = train(Scripted(*figures), chosen, checkpoints=tmp_path)
    assert same(resumed.weights, whole.weights)
    assert resumed.history == whole.history


def test_a_system_starts_once(tmp_path):
    first, second = Line(), Line()
    train(first, recipe(), checkpoints=tmp_path)
    train(second, recipe(), checkpoints=tmp_path)
    assert first.started
    assert not hasattr(second, "started")


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 1), ("epochs", 2), ("accumulate", 2), ("frozen", ("0",))]
)
def test_a_checkpoint_of_another_recipe_is_ignored(field, value, tmp_path, capsys):
    train(Line(), recipe(), checkpoints=tmp_path)
    train(Line(), recipe(**{field: value}), checkpoints=tmp_path)
    assert "is of another training" in capsys.readouterr().out


def test_a_loss_that_leaves_the_numbers_names_the_field():
    spec = Optimiser(name="sgd", learning_rate=1e200)
    with pytest.raises(ConfigError, match=r"training\.learning_rate: the loss of epoch 1 is"):
        train(Line(), recipe(optimiser=spec))


def test_a_long_epoch_is_not_silent_and_a_short_one_says_one_line(monkeypatch, capsys):
    train(Line(batches=3), recipe())
    assert len(capsys.readouterr().out.splitlines()) == 1
    monkeypatch.setattr(log, "PLAIN_INTERVAL_S", 0.0)
    train(Line(batches=3), recipe())
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"epoch 1 of 1: batch 2 of 3, loss \d+\.\d{4}, \d+ s", lines[1])
    assert [line.split(":")[1].split(",")[0] for line in lines[:3]] == [
        " batch 1 of 3", " batch 2 of 3", " batch 3 of 3",
    ]  # fmt: skip


def test_half_precision_reaches_the_forward_pass_and_no_further():
    class Looks(Line):
        def __init__(self):
            super().__init__()
            self.network.float()

        def loss(self, batch, step):
            logits = step.forward(batch.float())
            self.formats = logits.dtype, torch.is_autocast_enabled("cpu")
            return Loss((logits.float() - batch.float()).square().mean(), len(batch))

    system = Looks()
    train(system, recipe(precision="bfloat16"))
    assert system.formats == (torch.bfloat16, False)
    assert {p.dtype for p in system.network.parameters()} == {torch.float32}


def test_one_cycle_begins_and_ends_where_it_is_told():
    chosen = recipe(
        epochs=5,
        schedule=Schedule(name="one_cycle", warmup_fraction=0.5, first=0.1, last=0.01),
    )
    history = train(Line(batches=1), chosen).history
    middle = 0.01 + 0.99 * (1 + math.cos(math.pi * 0.5)) / 2
    rising = 1.0 + (0.1 - 1.0) * (1 + math.cos(math.pi * 0.5)) / 2
    expected = [0.1 * share for share in (0.1, rising, 1.0, middle, 0.01)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)


def test_an_exponential_schedule_changes_the_rate_by_one_factor():
    chosen = recipe(epochs=3, schedule=Schedule(name="exponential", first=1.0, last=0.25))
    history = train(Line(batches=1), chosen).history
    assert [row["learning_rate"] for row in history] == pytest.approx([0.1, 0.05, 0.025])


def test_a_second_stage_goes_on_counting_and_keeps_its_own_best_epoch(tmp_path):
    first = train(Line(batches=1), recipe(epochs=2))
    log = TrainingLog(tmp_path)
    with loop.session() as group:
        second = loop.train(
            Line(batches=1), recipe(epochs=3), group=group, log=log, earlier=first.history
        )
    assert [row["epoch"] for row in second.history] == [1, 2, 3, 4, 5]
    assert second.history[:2] == first.history
    assert second.epoch > 2
    rows = (tmp_path / "history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row) for row in rows] == second.history


def test_a_training_that_is_asked_to_finish_ends_with_the_epoch_under_way():
    asked = iter([False, True])
    with loop.session() as group:
        learnt = loop.train(
            Line(batches=1),
            recipe(epochs=9),
            group=group,
            log=TrainingLog(None),
            finish=lambda: next(asked),
        )
    assert len(learnt.history) == 2
