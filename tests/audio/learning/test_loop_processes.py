"""The training loop in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from test_loop import ALONE, PAGE, Line, TrainingLog, loop, recipe

from soundgate.audio.learning.averaging import WeightAverage
from soundgate.audio.learning.recipe import Optimiser

HERE = Path(__file__).parent
RECIPE = recipe(
    epochs=3, accumulate=2, optimiser=Optimiser(name="adam", learning_rate=0.05, clip_norm=0.5)
)


class Shared(Line):
    """Each process sees its own rows; the running mean is the same in all."""

    def __init__(self, group):
        super().__init__(rows=4, batches=5)
        self.group = group
        self.average = WeightAverage(self.network, decay=0.9)

    def epoch(self, number):
        for batch in super().epoch(number):
            yield batch[self.group.rank :: self.group.world]

    def weights(self):
        means = {f"mean.{k}": v for k, v in self.average.network.state_dict().items()}
        return {**self.network.state_dict(), **means}


def learn(group):
    return loop.train(Shared(group), RECIPE, group=group, log=TrainingLog(None))


PROGRAM = """
import sys
sys.path.insert(0, {here!r})
import torch
from test_loop_processes import learn, loop
with loop.session() as group:
    learnt = learn(group)
    everywhere = group.collect(learnt.weights)
    assert all(torch.equal(w[n], learnt.weights[n]) for w in everywhere for n in w)
    if group.writes:
        torch.save((learnt.weights, learnt.history), {out!r})
"""


def test_two_processes_learn_what_one_learns(tmp_path):
    program = tmp_path / "learn.py"
    program.write_text(PROGRAM.format(here=str(HERE), out=str(tmp_path / "two.pt")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = os.environ | {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    said["MASTER_PORT"] = str(port)
    processes = [  # what torchrun starts, without its own start
        subprocess.Popen(
            [sys.executable, str(program)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=said | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in (0, 1)
    ]
    printed = [process.communicate(timeout=250)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert [text.count("epoch 3 of 3") for text in printed] == [1, 0]
    weights, history = torch.load(tmp_path / "two.pt")
    one = learn(ALONE)
    for name, value in one.weights.items():
        torch.testing.assert_close(weights[name], value, rtol=1e-10, atol=1e-12)
    for single, shared in zip(one.history, history, strict=True):
        assert single.keys() == shared.keys()
        for key, value in single.items():
            torch.testing.assert_close(shared[key], value, rtol=1e-10, atol=1e-12)


def test_a_training_does_not_import_torch_s_compiler():
    """It would take each training two seconds, and nothing is compiled."""
    program = f"""if True:
        import re, sys, torch
        from soundgate.audio.learning.optimisation import OPTIMISERS
        from soundgate.audio.learning.recipe import Optimiser
        for name, make in OPTIMISERS.items():
            parameter = torch.nn.Parameter(torch.ones(2))
            optimiser = make([{{"params": [parameter]}}], Optimiser(name=name, learning_rate=0.1))
            parameter.sum().backward()
            optimiser.step()
            optimiser.zero_grad()
            optimiser.load_state_dict(optimiser.state_dict())
        [code] = re.findall("```python\\n(.*?)```", open({str(PAGE)!r}).read(), re.DOTALL)
        exec(code)
        learn()
        assert "torch._dynamo" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
