from __future__ import annotations

import pytest
import torch

from soundgate.audio.classification import recipe
from soundgate.audio.config import Training
from soundgate.audio.learning import groups, monitoring, optimisation
from soundgate.audio.learning.recipe import Monitor, Optimiser, Plateau, Recipe, Schedule
from soundgate.audio.networks import models
from soundgate.errors import ConfigError


def _recipe(validated=True, **values) -> Recipe:
    training = Training.model_validate(values)
    return recipe.recipe(training, epochs=3, seed=0, validated=validated)


def _rates(steps, **values):
    return [optimisation.learning_rate(_recipe(**values), k, steps) for k in range(steps)]


def _optimiser(network, chosen):
    spec = chosen.optimiser
    parts = groups.divide(network, chosen)
    listed = groups.optimiser_groups(parts, spec.learning_rate, spec.weight_decay)
    return optimisation.optimiser(listed, spec)


def test_one_cycle_is_torch_s():
    values = {"schedule": "one_cycle", "learning_rate": 0.01, "warmup_fraction": 0.25}
    parameter = torch.nn.Parameter(torch.zeros(1))
    rates = torch.optim.SGD([parameter], lr=0.01, momentum=0.9)
    # Torch's warm-up ends at pct_start * total - 1 of total - 1 steps.
    theirs = torch.optim.lr_scheduler.OneCycleLR(rates, 0.01, total_steps=101, pct_start=26 / 101)
    expected = []
    for _ in range(101):
        expected.append(theirs.get_last_lr()[0])
        rates.step()
        if len(expected) < 101:
            theirs.step()
    assert _rates(101, **values) == pytest.approx(expected, rel=1e-9)


def test_cosine_warms_up_and_ends_at_zero():
    rates = _rates(101, schedule="cosine", learning_rate=1.0, warmup_fraction=0.2)
    assert rates[0] == 0.0
    assert rates[10] == pytest.approx(0.5)
    assert rates[20] == pytest.approx(1.0)
    assert rates[60] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7])
def test_very_short_trainings_have_a_rate(schedule, warmup, steps):
    rates = _rates(steps, schedule=schedule, warmup_fraction=warmup, learning_rate=0.1)
    assert all(0.0 <= rate <= 0.1 for rate in rates)


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_the_other_schedules_leave_the_rate_alone(schedule):
    assert _rates(3, schedule=schedule) == [None, None, None]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"schedule": Schedule(name="one_cicle")}, "no schedule 'one_cicle'; did you mean"),
        (
            {"schedule": Schedule(name="cosine"), "plateau": Plateau(monitor=recipe.LOSS)},
            "cosine and a plateau both set the learning rate",
        ),
    ],
)
def test_a_rate_that_nothing_or_two_things_set_is_refused(changes, text):
    chosen = Recipe(epochs=1, seed=0, optimiser=Optimiser(learning_rate=1.0), **changes)
    with pytest.raises(ConfigError, match=text):
        optimisation.check_schedule(chosen)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ConfigError, match="no optimiser 'adam_w'; did you mean 'adamw'"):
        optimisation.optimiser([], Optimiser(name="adam_w", learning_rate=1.0))


@pytest.mark.parametrize("name", optimisation.OPTIMISERS)
def test_optimisers_lower_a_loss_and_let_only_matrices_decay(name):
    torch.manual_seed(0)
    network = models.build("plain", 3, {"width": 0.25, "dropout": 0.0})
    spec = {"name": name, "momentum": 0.9, "nesterov": True}
    chosen = _recipe(optimizer=spec, learning_rate=1e-3, weight_decay=0.01)
    optimizer = _optimiser(network, chosen)
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for parameter in network.parameters():
        assert decays[id(parameter)] == (0.01 if parameter.ndim > 1 else 0.0)
    patches, targets = torch.randn(12, 1, 16, 16), torch.arange(12) % 3
    losses = []
    for _ in range(15):
        loss = torch.nn.functional.cross_entropy(network(patches), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["AdamW", "Adam", "SGD", "RMSprop"])
def test_an_eager_optimiser_computes_torch_s_bits(name):
    kind = getattr(torch.optim, name)
    weights = []
    for made in (kind, optimisation.eager(kind)):
        torch.manual_seed(3)
        layer = torch.nn.Linear(5, 4)
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        optimiser = made(layer.parameters(), lr=0.05, weight_decay=0.01, **options)
        for _ in range(4):
            optimiser.zero_grad()
            layer(torch.randn(6, 5)).square().sum().backward()
            optimiser.step()
            again = made(layer.parameters(), lr=1.0)
            again.load_state_dict(optimiser.state_dict())
            optimiser = again
        assert not any(p.requires_grad is False for p in layer.parameters())
        weights.append(torch.cat([p.detach().ravel() for p in layer.parameters()]))
    assert torch.equal(*weights)


def test_frozen_parameters_are_left_out():
    network = models.build("plain", 3, {"width": 0.25})
    for parameter in network.features.parameters():
        parameter.requires_grad_(False)
    optimizer = _optimiser(network, _recipe())
    chosen = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert len(chosen) == 2


def _rows(values):
    return [{"validation_clip_accuracy": v, "validation_loss": 1 - v} for v in values]


def _stopping(**values):
    return _recipe(callbacks={"EarlyStopping": values}).early_stopping


@pytest.mark.parametrize(
    ("values", "stops"),
    [
        ([0.5, 0.6, 0.6, 0.6], True),  # two epochs no better than 0.6
        ([0.5, 0.6, 0.6], False),
        ([0.5, 0.6, 0.6, 0.7], False),
        ([0.5, 0.6, 0.6, 0.605], True),  # less than min_delta better
        ([0.9], False),
        ([], False),
    ],
)
@pytest.mark.parametrize("monitor", ["val_accuracy", "val_loss"])
def test_early_stopping_waits_for_patience(values, stops, monitor):
    spec = _stopping(patience=2, min_delta=0.01, monitor=monitor)
    assert monitoring.stops_early(spec, _rows(values)) is stops


def test_early_stopping_does_not_look_at_the_first_epochs():
    rows = _rows([0.9, 0.1, 0.1, 0.1, 0.1])
    assert monitoring.stops_early(_stopping(patience=2), rows)
    assert not monitoring.stops_early(_stopping(patience=2, start_from_epoch=3), rows)
    assert not monitoring.stops_early(None, rows)


def test_early_stopping_can_watch_for_a_fall():
    rows = _rows([0.9, 0.8, 0.7])
    assert not monitoring.stops_early(_stopping(patience=2, mode="min"), rows)
    assert monitoring.stops_early(_stopping(patience=2, mode="max"), rows)


def test_a_figure_that_no_epoch_has_is_named():
    with pytest.raises(ConfigError, match=r"'validation_los' is watched.*'validation_loss'"):
        monitoring.value(Monitor("validation_los", rises=False), _rows([0.5])[0])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, (0.75, -0.25)),
        ({"EarlyStopping": {"monitor": "val_loss"}}, (-0.25, 0.75)),
        ({"EarlyStopping": {"restore_best_weights": False}}, ()),
    ],
)
def test_the_kept_epoch_is_the_best_of_what_is_watched(values, expected):
    monitors = recipe.merit(Training.model_validate({"callbacks": values}), validated=True)
    assert monitoring.merit(monitors, _rows([0.75])[0]) == expected


def test_plateau_counts_patience_as_keras():
    config = _recipe(
        schedule="plateau",
        learning_rate=1.0,
        callbacks={"ReduceLROnPlateau": {"patience": 2, "factor": 0.5, "min_lr": 0.3}},
    )
    rates = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    plateau = monitoring.plateau(config.plateau, rates)
    assert plateau is not None
    course = []
    for value in (0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6):
        plateau.step(value)
        course.append(rates.param_groups[0]["lr"])
    assert course == [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.3]


@pytest.mark.parametrize(
    ("values", "validated", "text"),
    [
        ({"callbacks": {"ReduceLROnPlateau": {}}}, True, "set schedule to plateau"),
        ({"schedule": "plateau"}, False, "validation_split above 0"),
        ({"callbacks": {"EarlyStopping": {}}}, False, "validation_split above 0"),
    ],
)
def test_a_callback_that_could_not_act_is_refused(values, validated, text):
    with pytest.raises(ConfigError, match=text):
        _recipe(validated=validated, **values)


def test_number_formats(monkeypatch):
    cpu = torch.device("cpu")
    assert optimisation.number_format("float32", cpu) is None
    assert optimisation.number_format("bfloat16", cpu) is torch.bfloat16
    for features, expected in (
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False}, None),
        ({}, None),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=features: found)
        assert optimisation.number_format("auto", cpu) is expected
    with pytest.raises(ConfigError, match="needs a GPU"):
        optimisation.number_format("float16", cpu)


@pytest.mark.parametrize(
    ("wanted", "ampere", "expected"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float16),
        ("float16", True, torch.float16),
        ("float32", True, None),
    ],
)
def test_number_formats_of_gpus(monkeypatch, wanted, ampere, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: ampere)
    assert optimisation.number_format(wanted, torch.device("cuda")) is expected
