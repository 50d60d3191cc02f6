from __future__ import annotations

import pytest
from torch import nn

from soundgate.audio.learning import groups
from soundgate.audio.learning.recipe import Optimiser, ParameterGroup, Recipe
from soundgate.errors import ConfigError


def network():
    """Twelve blocks and a head, so that block 1 and block 10 are there."""
    blocks = [nn.Sequential() for _ in range(12)]
    for block in blocks:
        block.add_module("norm", nn.BatchNorm1d(2))
        block.add_module("mix", nn.Linear(2, 2))
    made = nn.Module()
    made.blocks = nn.ModuleList(blocks)
    made.head = nn.Linear(2, 1)
    return made


def recipe(*parts, **values):
    listed = tuple(p if isinstance(p, ParameterGroup) else ParameterGroup(part=p) for p in parts)
    return Recipe(epochs=1, seed=0, optimiser=Optimiser(learning_rate=0.1), groups=listed, **values)


def names_of(made, parts):
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    return {
        group.part: {names[id(parameter)] for parameter in found} for group, found in parts.learning
    }


def test_block_1_is_not_block_10():
    made = network()
    found = names_of(made, groups.divide(made, recipe("blocks.1")))["blocks.1"]
    assert found == {
        f"blocks.1.{name}" for name in ("norm.weight", "norm.bias", "mix.weight", "mix.bias")
    }


def test_every_parameter_is_in_one_group_or_listed_as_frozen():
    made = network()
    chosen = recipe(
        "head", *groups.layerwise(["blocks.11", "blocks.10"], 0.5), frozen=("blocks.0",)
    )
    parts = groups.divide(made, chosen)
    by_part = names_of(made, parts)
    assert list(by_part) == ["*", "head", "blocks.11", "blocks.10"]
    listed = [name for names in by_part.values() for name in names] + list(parts.frozen)
    assert sorted(listed) == sorted(name for name, _ in made.named_parameters())
    assert set(parts.frozen) == {n for n, _ in made.named_parameters() if n.startswith("blocks.0.")}
    taken = groups.optimiser_groups(parts, 0.1, 0.3)
    assert [each["lr"] for each in taken] == [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
    assert [each["weight_decay"] for each in taken] == [0.3, 0.0] * 4
    for each in taken:
        assert {p.ndim > 1 for p in each["params"]} == {each["weight_decay"] > 0}


def test_a_star_is_one_component():
    made = network()
    found = names_of(made, groups.divide(made, recipe("blocks.*.norm")))["blocks.*.norm"]
    assert len(found) == 24
    assert all(".norm." in name for name in found)


def test_what_was_frozen_before_is_listed_and_gets_no_group():
    made = network()
    made.head.requires_grad_(False)
    parts = groups.divide(made, recipe())
    assert parts.frozen == ("head.weight", "head.bias")
    assert "head.weight" not in names_of(made, parts)["*"]


def test_frozen_modules_are_evaluated_and_of_others_the_named_normalisations():
    made = network()
    chosen = recipe(frozen=("blocks.0",), fixed_statistics=("blocks.1",))
    groups.divide(made, chosen)
    evaluated = groups.evaluated(made, chosen)
    assert evaluated == [*made.blocks[0].modules(), made.blocks[1].norm]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (recipe("haed"), r"training\.groups: the network has no part 'haed'; did you mean 'head'"),
        (
            recipe(frozen=("blocks.12",)),
            r"training\.frozen: the network has no part 'blocks\.12'; did you mean 'blocks\.",
        ),
        (
            recipe(fixed_statistics=("q",)),
            r"fixed_statistics: the network has no part 'q'; known: blocks, head",
        ),
        (
            recipe("blocks", "blocks.3"),
            r"blocks\.3\.norm\.weight is in 'blocks' and in 'blocks\.3'; name narrower parts",
        ),
        (
            recipe("head", frozen=("head",)),
            r"training\.groups: everything in 'head' is frozen; drop the group",
        ),
        (recipe(frozen=("*",)), r"training\.frozen: nothing is left that learns"),
    ],
)
def test_a_division_that_cannot_be_meant_is_refused(chosen, text):
    with pytest.raises(ConfigError, match=text):
        groups.divide(network(), chosen)
