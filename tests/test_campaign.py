"""A campaign by its command line: failures stop it, a killed one ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest
import sec_world

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path):
    """A campaign of one config and one octave; returns its directives."""
    directives = sec_world.write_world(tmp_path)
    kept = [line for line in directives.read_text().splitlines() if "| 3" not in line]
    directives.write_text("\n".join(line for line in kept if "two" not in line) + "\n")
    return directives


def rows(done):
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_failed_run_stops_those_after_it(world):
    world.write_text(world.read_text() + "two.yaml | wav | 1\n")
    config = world.parent / "configs" / "one.yaml"
    config.write_text(config.read_text().replace("[dog, rain]", "[dog, snow]"))
    runs = world.parent / "runs"
    done = sec_world.run(world, runs, "--output", "json")
    first, second = rows(done)
    assert done.returncode == 1
    assert first["state"] == "failed"
    assert first["reason"].startswith("plan: classes: no wav track of 'snow' in the data set")
    assert (second["state"], second["run"]) == ("not started", "")


def test_a_killed_campaign_goes_on_and_ends_with_the_same_bytes(world, tmp_path):
    one, other = tmp_path / "runs-1", tmp_path / "runs-2"
    assert sec_world.run(world, one).returncode == 0
    whole = sec_world.digests(one)
    assert len(whole) == 6
    words = sec_world.words(world, other)
    environment = {**os.environ, "SOUNDGATE_RUNS": str(other)}
    killed = subprocess.Popen(words, cwd=sec_world.ROOT, env=environment, start_new_session=True)
    while not list(other.glob("sec/2*/tasks/embed-000/.*")):  # it has begun to embed
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    done = sec_world.run(world, other, "--output", "json")
    assert [row["state"] for row in rows(done)] == ["succeeded"]
    assert sec_world.digests(other) == whole
    # what is finished is not started again
    again = sec_world.run(world, other, "--output", "json")
    assert rows(again) == rows(done)
