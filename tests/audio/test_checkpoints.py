from __future__ import annotations

import pytest
import torch

from soundgate.audio.learning import checkpoints

STATE = {"network": {"w": torch.arange(6.0)}, "history": [{"epoch": 1, "loss": 0.5}], "best": None}


def test_what_was_written_is_read(tmp_path):
    checkpoints.write(tmp_path / "new", STATE, "abc")
    state = checkpoints.read(tmp_path / "new", "abc")
    assert state is not None
    assert torch.equal(state["network"]["w"], STATE["network"]["w"])
    assert state["history"] == STATE["history"]
    assert set(state) == set(STATE)


def test_nothing_there_is_nothing_said(tmp_path, capsys):
    assert checkpoints.read(tmp_path, "abc") is None
    assert capsys.readouterr().out == ""


def test_another_training_is_passed_over(tmp_path, capsys):
    checkpoints.write(tmp_path, STATE, "abc")
    assert checkpoints.read(tmp_path, "abd") is None
    assert "of another training" in capsys.readouterr().out


@pytest.mark.parametrize("where", [0, 40, -30])
def test_a_flipped_bit_is_noticed(tmp_path, capsys, where):
    checkpoints.write(tmp_path, STATE, "abc")
    path = tmp_path / checkpoints.NAME
    content = bytearray(path.read_bytes())
    content[where] ^= 1
    path.write_bytes(content)
    assert checkpoints.read(tmp_path, "abc") is None
    assert "damaged" in capsys.readouterr().out


@pytest.mark.parametrize("length", [0, 10, 500])
def test_a_cut_file_is_noticed(tmp_path, capsys, length):
    checkpoints.write(tmp_path, STATE, "abc")
    path = tmp_path / checkpoints.NAME
    path.write_bytes(path.read_bytes()[:length])
    assert checkpoints.read(tmp_path, "abc") is None
    assert "damaged" in capsys.readouterr().out


def test_a_failed_write_leaves_the_old_checkpoint_and_its_rest_is_removed(tmp_path, monkeypatch):
    checkpoints.write(tmp_path, STATE, "abc")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        checkpoints.write(tmp_path, STATE | {"history": []}, "abc")
    assert len(list(tmp_path.iterdir())) == 2
    state = checkpoints.read(tmp_path, "abc")
    assert state is not None
    assert state["history"] == STATE["history"]
    assert [path.name for path in tmp_path.iterdir()] == [checkpoints.NAME]
