from __future__ import annotations

import numpy as np
import pytest
import torch
from librosa_features import MINIRESNET, YAMNET

from soundgate.audio.config import Preprocessing
from soundgate.audio.export import classifier, program
from soundgate.audio.export.front_end import FrontEnd, least_samples, most_samples
from soundgate.audio.formats.model import Description
from soundgate.audio.networks import models
from soundgate.audio.signal import waveforms
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.patches import arrange_patches, frame_count, patch_starts
from soundgate.audio.signal.standardisation import Standardisation
from soundgate.errors import DataError

pytestmark = pytest.mark.slow

# What the chain does, and which setting reaches it.
SETTINGS = {
    "defaults": ({}, YAMNET, {}),
    "miniresnet": ({"min_length": 2, "max_length": 4}, MINIRESNET, {}),
    "last patch": ({}, YAMNET, {"include_last_patch": True}),
    "last patch, dB": ({"min_length": 1.2}, MINIRESNET, {"include_last_patch": True}),
    "no silence": ({"top_db": None}, YAMNET, {}),
    "whole seconds": ({"trim_last_second": True}, YAMNET, {}),
    "repeat first": ({"lengthen": "before", "min_length": 2.5}, YAMNET, {}),
    "overlapping frames": ({"frame_length": 4000, "hop_length": 1500, "top_db": 35}, YAMNET, {}),
    "odd frames": ({"frame_length": 1001, "hop_length": 777, "top_db": 30}, YAMNET, {}),
    "short of a patch": ({"min_length": 0.5}, YAMNET, {}),
    "mirrored": ({}, MINIRESNET, {"pad_mode": "reflect", "to_db": False}),
    "held": ({"max_length": 3.3}, MINIRESNET, {"pad_mode": "edge", "power": 1.5}),
    "short window": ({}, YAMNET, {"window_length": 333, "overlap": 0.6, "window": "hamming"}),
}
LENGTHS = (700, 15999, 32000, 40123, 90001)


def settings(name):
    steps, base, changes = SETTINGS[name]
    return Preprocessing(**steps), base.model_copy(update=changes)


def front_end(steps, options, *, mean=0.0, deviation=1.0):
    bands = options.n_mels
    values = np.full(bands, mean, np.float32), np.full(bands, deviation, np.float32)
    return FrontEnd(steps, options, Standardisation(*values)).eval()


def clips(samples, seed=0):
    """A tone in noise; the same with silence at three places; nothing but silence; a late event."""
    rng = np.random.default_rng(seed)
    made = np.zeros((4, samples), np.float32)
    tone = 0.4 * np.sin(2 * np.pi * 0.05 * np.arange(samples))
    made[0] = tone + rng.normal(0, 0.05, samples)
    made[1] = made[0]
    made[1, : samples // 7] = 0.0
    made[1, samples // 3 : samples // 2] *= 1e-5
    made[1, -samples // 9 :] = 0.0
    made[3, -samples // 5 :] = rng.normal(0, 0.2, samples)[-samples // 5 :]
    return made


def expected(clip, steps, options):
    """Patches (patch, mel, frame) as preprocessing and evaluation cut them."""
    clip = clip[: most_samples(steps)]
    # Preprocessing refuses what fills no patch; an exported program repeats it: once, up to the
    # larger of a patch and min_length.
    once = {"min_length": 0} if steps.lengthen == "after" else {}
    samples = waveforms.prepare(clip, steps.model_copy(update=once))
    samples = np.resize(samples, max(samples.size, least_samples(steps, options)))
    mel = log_mel(torch.from_numpy(samples), options, steps.target_rate).numpy()
    starts = patch_starts(
        len(mel),
        options.patch_length,
        options.overlap,
        include_last_patch=options.include_last_patch,
    )
    return np.stack([mel[start : start + options.patch_length].T for start in starts])


@pytest.mark.parametrize("name", SETTINGS)
def test_patches_are_those_of_preprocessing(name):
    steps, options = settings(name)
    module = front_end(steps, options)
    counts = set()
    for samples in LENGTHS:
        batch = clips(samples)
        with torch.inference_mode():
            patches, count = module(torch.from_numpy(batch))
        for k, clip in enumerate(batch):
            wanted = expected(clip, steps, options)
            assert count[k] == len(wanted), (samples, k)
            np.testing.assert_allclose(patches[k, : len(wanted)], wanted, atol=2e-3)
            counts.add(len(wanted))
    assert len(counts) > 2


def test_silence_is_removed_clip_by_clip():
    steps, options = settings("defaults")
    with torch.inference_mode():
        _, count = front_end(steps, options)(torch.from_numpy(clips(80000)))
    # 5 s, about 3.4 s, 5 s (of a clip that is silent throughout all is kept), 1 s
    assert count.tolist() == [6, 3, 6, 1]


@pytest.mark.parametrize("name", ["defaults", "last patch, dB"])
def test_a_clip_does_not_depend_on_its_batch(name):
    module = front_end(*settings(name))
    batch = torch.from_numpy(clips(64000))
    with torch.inference_mode():
        together, counts = module(batch)
        for k, clip in enumerate(batch):
            alone, count = module(clip.unsqueeze(0))
            assert count.item() == counts[k]
            torch.testing.assert_close(
                alone[0, : count.item()], together[k, : count.item()], atol=1e-4, rtol=0
            )


def test_what_is_too_short_for_min_length_and_for_a_patch_is_repeated_once():
    """First to half a second, then to a patch, would break its rhythm; no export would be whole."""
    steps = Preprocessing(min_length=0.5, top_db=None)
    clip = np.arange(5000, dtype=np.float32)
    found = arrange_patches(clip, steps, YAMNET).apply(clip)
    np.testing.assert_array_equal(found, np.resize(clip, least_samples(steps, YAMNET)))
    assert found.size == 512 + 95 * 160


@pytest.mark.parametrize("mode", ["constant", "reflect"])
def test_what_fills_no_patch_is_repeated_until_it_does(mode):
    steps = Preprocessing(min_length=0, top_db=None)
    options = MINIRESNET.model_copy(update={"pad_mode": mode, "to_db": False})
    clip = clips(3000)[:1]
    least = least_samples(steps, options)
    assert frame_count(least, options) == options.patch_length
    assert frame_count(least - 1, options) < options.patch_length
    with torch.inference_mode():
        patches, count = front_end(steps, options)(torch.from_numpy(clip))
        repeated = torch.from_numpy(np.resize(clip[0], least))
        mel = log_mel(repeated, options, steps.target_rate)
    assert count.tolist() == [1]
    np.testing.assert_allclose(patches[0, 0], mel.numpy().T, atol=2e-3)


def test_one_sample_is_enough():
    with torch.inference_mode():
        patches, count = front_end(*settings("defaults"))(torch.full((2, 1), 0.5))
    assert patches.shape == (2, 1, 64, 96)
    assert count.tolist() == [1, 1]
    assert torch.isfinite(patches).all()


def test_patches_are_standardised_by_band():
    steps, options = settings("defaults")
    mean = np.linspace(-3, 1, 64).astype(np.float32)
    deviation = np.linspace(0.5, 2, 64).astype(np.float32)
    waveform = torch.from_numpy(clips(32000)[:1])
    with torch.inference_mode():
        raw, _ = front_end(steps, options)(waveform)
        scaled, _ = FrontEnd(steps, options, Standardisation(mean, deviation))(waveform)
    np.testing.assert_allclose(
        scaled.numpy(), (raw.numpy() - mean[:, None]) / deviation[:, None], atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "chain"),
    [*((name, "defaults") for name in models.MODELS), ("plain", "held"), ("plain", "mirrored")],
)
def test_every_model_is_traced_for_any_number_of_clips_and_samples(name, chain):
    steps, options = settings(chain)
    torch.manual_seed(0)
    network = models.build(name, 3, {"width": 0.25})
    scale = Standardisation(np.full(64, -4, np.float32), np.full(64, 2, np.float32))
    description = Description(name, {}, ("a", "b", "c"), False, steps, options, scale)
    whole = classifier.program_of(description, network).eval()
    traced = program.trace(whole, name).module()
    for batch, samples in ((1, 1), (1, 5000), (3, 16001), (2, 47000), (4, most_samples(steps) + 9)):
        waveform = torch.from_numpy(clips(samples)[:batch])
        with torch.inference_mode():
            for wanted, given in zip(whole(waveform), traced(waveform), strict=True):
                torch.testing.assert_close(given, wanted, atol=1e-5, rtol=0)


def test_a_network_that_asks_what_it_hears_cannot_be_exported():
    class Curious(torch.nn.Module):
        def forward(self, patches):
            scores = patches.mean((1, 2, 3)).unsqueeze(1).repeat(1, 3)
            return -scores if scores.sum() > 0 else scores

    steps, options = settings("defaults")
    scale = Standardisation(np.zeros(64, np.float32), np.ones(64, np.float32))
    description = Description("curious", {}, ("a", "b", "c"), False, steps, options, scale)
    with pytest.raises(DataError, match=r"^curious: cannot be exported: ") as told:
        program.trace(classifier.program_of(description, Curious()), "curious")
    assert "\n" not in str(told.value)
