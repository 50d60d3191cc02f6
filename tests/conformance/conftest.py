"""Fixtures of the conformance suite."""

from __future__ import annotations

from functools import partial

import pytest
from toy_project import Toy

from conformance.mapping import PRODUCT, WINDOWS
from conformance.suite import PARAMETERS, SHAPES


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A project in a folder of its own."""
    return Toy(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def shapes(engine):
    """A pipeline of every shape, run once; the tests look at what it left."""
    module = engine.toy.pipeline("shapes", SHAPES, PARAMETERS)
    ended = engine.run(module)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return module, ended, engine.ran(), engine.record()


@pytest.fixture(scope="module")
def product(engine):
    """Models x windows with a join for each model, run once."""
    module = engine.toy.pipeline("product", PRODUCT, WINDOWS)
    ended = engine.run(module)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return module


@pytest.fixture
def read(engine, shapes):
    """Read what a task of that run wrote; other tests may have run something since."""
    return partial(engine.read, run=shapes[3]["run"])
