"""Augmentations of known waveforms: what each does to a tone, to noise, to a pulse, to labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from soundgate.audio.files import reading
from soundgate.audio.signal.augmentation import chain, mixing, settings, vocoder, waveforms
from soundgate.audio.signal.augmentation.draws import Draws
from soundgate.audio.signal.augmentation.mixing import Clips
from soundgate.errors import ConfigError

RATE = 16_000


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tone(hz, seconds=1.0):
    return torch.sin(2 * math.pi * hz * torch.arange(round(seconds * RATE)) / RATE)


def loudest_hz(waveform):
    window = torch.hann_window(len(waveform))
    spectrum = torch.fft.rfft(waveform * window, n=16 * len(waveform)).abs()
    return float(spectrum.argmax()) * RATE / (16 * len(waveform))


class Bank:
    """Training clips that are each a constant of their own, with a label of their own."""

    def __init__(self, count, samples):
        self.count, self.samples = count, samples
        self.asked = []

    def __len__(self):
        return self.count

    def __call__(self, numbers, places=None):
        self.places = places
        self.asked.append(numbers.tolist())
        values = (numbers + 1).float()[:, None].expand(-1, self.samples)
        targets = torch.nn.functional.one_hot(numbers, self.count).float()
        return Clips(values, targets, torch.ones_like(targets, dtype=torch.bool))


# ----- draws


def test_a_record_s_draws_depend_on_seed_epoch_and_record_alone():
    whole = Draws.of(range(50), seed=3, epoch=2)
    mixed = Draws.of([31, 4, "x", 7], seed=3, epoch=2)
    for purpose in ("PITCH", "TIME_SHIFT"):
        first, second = whole.normal(purpose, 7), mixed.normal(purpose, 7)
        assert torch.equal(first[[31, 4, 7]], second[[0, 1, 3]])
        assert torch.equal(whole.uniform(purpose, count=3), whole.uniform(purpose, count=9)[:, :3])
    same = whole.uniform("PITCH")
    for other in (
        Draws.of(range(50), seed=4, epoch=2).uniform("PITCH"),
        Draws.of(range(50), seed=3, epoch=3).uniform("PITCH"),
        Draws.of(range(1, 51), seed=3, epoch=2).uniform("PITCH"),
        whole.uniform("PITCH place"),
    ):
        assert (same != other).all()


def test_draws_have_their_distributions():
    draws = Draws.of(range(200), seed=0, epoch=0)
    flat = draws.uniform("a", count=500).double()
    assert float(flat.min()) >= 0
    assert float(flat.max()) < 1
    assert float(flat.mean()) == pytest.approx(0.5, abs=0.004)
    # Kolmogorov-Smirnov at 100,000 numbers: 1.63 / sqrt(n) is the 1 % point.
    ranked = flat.flatten().sort().values
    away = (ranked - torch.arange(len(ranked)) / len(ranked)).abs().max()
    assert float(away) < 1.63 / math.sqrt(len(ranked))
    normal = draws.normal("b", 501).double()
    assert normal.shape == (200, 501)
    assert float(normal.mean()) == pytest.approx(0, abs=0.015)
    assert float(normal.std()) == pytest.approx(1, abs=0.01)
    assert float((normal**4).mean()) == pytest.approx(3, abs=0.1)
    neighbours = torch.corrcoef(draws.normal("c", 500).double())
    assert float((neighbours - torch.eye(200)).abs().max()) < 0.25
    counts = draws.integers("d", 3, count=500).flatten().bincount()
    assert len(counts) == 3
    assert (counts / 100_000 - 1 / 3).abs().max() < 0.01
    limits = torch.arange(1, 201)
    assert (draws.integers("e", limits) < limits).all()


# ----- speed and pitch


def test_the_phase_vocoder_is_torchaudio_s_with_a_rate_for_each_clip():
    functional = pytest.importorskip("torchaudio.functional")
    clips = torch.stack([tone(440) + 0.3 * tone(1000), tone(700)])
    window = torch.hann_window(1024)
    spectra = torch.stft(clips, 1024, 256, window=window, return_complex=True)
    rates = torch.tensor([0.8, 1.25])
    advance = (math.pi * 2 * 256 / 1024) * torch.arange(513)[:, None]
    frames = math.ceil(spectra.shape[2] / 0.8)
    ours = vocoder._phase_vocoder(spectra, rates, frames)
    for k, rate in enumerate(rates.tolist()):
        theirs = functional.phase_vocoder(spectra[k : k + 1], rate, advance)[0]
        known = theirs.shape[1] - 3
        torch.testing.assert_close(ours[k, :, :known], theirs[:, :known], atol=0.05, rtol=0.01)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25, 2.0])
def test_time_stretch_changes_the_duration_and_not_the_pitch(rate):
    clip = torch.zeros(2 * RATE)
    clip[:RATE] = tone(440)
    [found] = vocoder.time_stretch(clip[None], torch.tensor([rate]))
    assert found.shape == clip.shape
    loud = torch.nonzero(found.abs() > 0.3)[:, 0]
    assert int(loud[-1]) / RATE == pytest.approx(1 / rate, abs=0.03)
    assert loudest_hz(found[2000 : round(0.8 * RATE / rate)]) == pytest.approx(440, abs=1)
    middle = found[4000:8000]
    assert float(middle.square().mean()) == pytest.approx(0.5, rel=0.2)


def test_time_stretch_at_rate_1_changes_nothing():
    clip = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    found = vocoder.time_stretch(clip, torch.tensor([1.0]))
    torch.testing.assert_close(found[:, 512:-512], clip[:, 512:-512], atol=1e-3, rtol=0)


@pytest.mark.parametrize("semitones", [-2.0, -1.0, 0.0, 0.5, 2.0])
def test_pitch_moves_a_tone_by_semitones_and_keeps_its_duration(semitones):
    [found] = vocoder.pitch_shift(tone(440)[None], torch.tensor([semitones]))
    assert found.shape == (RATE,)
    assert loudest_hz(found[2000:-2000]) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    assert float(found[2000:-2000].square().mean()) == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize(("semitones", "rate"), [(2.0, 0.8), (-1.0, 1.25)])
def test_pitch_and_speed_change_in_one_pass_as_in_two(semitones, rate):
    clip = torch.zeros(2 * RATE)
    clip[:RATE] = tone(440)
    steps, rates = torch.tensor([semitones]), torch.tensor([rate])
    [found] = vocoder.pitch_shift(clip[None], steps, rates)
    loud = torch.nonzero(found.abs() > 0.3)[:, 0]
    assert int(loud[-1]) / RATE == pytest.approx(1 / rate, abs=0.03)
    heard = found[2000 : round(0.7 * RATE / rate)]
    assert loudest_hz(heard) == pytest.approx(440 * 2 ** (semitones / 12), rel=2e-3)
    [both] = vocoder.pitch_shift(vocoder.time_stretch(clip[None], rates), steps)
    power = both[4000:9000].square().mean()
    assert float(found[4000:9000].square().mean() / power) == pytest.approx(1, rel=0.25)
    if rate > 1:
        assert (found[round(2 * RATE / rate) + 1 :] == 0).all()


def test_pitch_up_does_not_alias():
    # 7.8 kHz would become 8.75 kHz, above half the rate, and come back as 7.2 kHz.
    [found] = vocoder.pitch_shift(tone(7800)[None], torch.tensor([2.0]))
    assert float(found[2000:-2000].square().mean()) < 1e-3


@pytest.mark.parametrize("semitones", [-3.0, 0.0, 2.0])
def test_speed_moves_a_tone_and_its_times_by_one_factor(semitones):
    ratio = 2 ** (semitones / 12)
    clip = torch.zeros(RATE)
    clip[: RATE // 2] = tone(440, 0.5)
    [found] = vocoder.speed(clip[None], torch.tensor([semitones]))
    assert found.shape == clip.shape
    end = int(torch.nonzero(found[: round(0.88 * RATE)].abs() > 0.3)[-1])
    assert end / RATE == pytest.approx(0.5 / ratio, abs=0.01)
    assert loudest_hz(found[1000 : end - 1000]) == pytest.approx(440 * ratio, rel=2e-3)
    again = found[round(RATE / ratio) + 200 :]
    assert ratio <= 1 or float(again.abs().max()) > 0.9, "a clip that ends too early begins again"


def test_speed_reads_between_samples_and_does_not_alias():
    clips = torch.stack([tone(1000), tone(7800)])
    found = vocoder.speed(clips, torch.tensor([2.0, 2.0]))
    time_s = torch.arange(RATE).double() / RATE
    expected = torch.sin(2 * math.pi * 1000 * 2 ** (2 / 12) * time_s).float()
    torch.testing.assert_close(found[0, 100:12_000], expected[100:12_000], atol=5e-3, rtol=0)
    assert float(found[1, 100:12_000].square().mean()) < 1e-3


# ----- one at a time


def test_time_shift_rolls():
    clips = torch.arange(10.0).repeat(2, 1)
    found = waveforms.time_shift(clips, torch.tensor([0.3, -0.2]))
    assert torch.equal(found[0], clips[0].roll(3))
    assert torch.equal(found[1], clips[1].roll(-2))


def test_time_inversion_is_in_time_and_not_of_polarity():
    clips = torch.arange(1.0, 6.0).repeat(2, 1)
    found = waveforms.time_inversion(clips, torch.tensor([True, False]))
    assert found.tolist() == [[5, 4, 3, 2, 1], [1, 2, 3, 4, 5]]


def test_clipping_cuts_at_a_share_of_the_peak():
    clips = torch.stack([tone(100), 0.1 * tone(100)])
    found = waveforms.clipping(clips, torch.tensor([0.5, 1.0]))
    assert float(found[0].abs().max()) == pytest.approx(0.5, abs=1e-3)
    # A sine is above half its peak two thirds of the time.
    assert float((found[0].abs() > 0.4995).float().mean()) == pytest.approx(2 / 3, abs=0.01)
    assert torch.equal(found[1], clips[1])


@pytest.mark.parametrize("exponent", [-2.0, -1.0, 0.0, 1.0, 2.0])
def test_noise_has_the_slope_of_its_colour(exponent):
    white = Draws.of(range(20), seed=0, epoch=0).normal("x", 2 * RATE)
    noise = waveforms.coloured(white, torch.full((20,), exponent))
    power = torch.fft.rfft(noise).abs().square().mean(0).log10()[20:-20]
    hz = torch.fft.rfftfreq(2 * RATE, 1 / RATE).log10()[20:-20]
    slope = np.polyfit(hz.numpy(), power.numpy(), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_noise_is_added_at_its_ratio_and_not_to_silence():
    clips = torch.stack([tone(440), 0.01 * tone(440), torch.zeros(RATE)])
    white = Draws.of(range(3), seed=0, epoch=0).normal("x", RATE)
    found = waveforms.add_noise(clips, white, torch.tensor([3.0, 20.0, 10.0]))
    for k, expected in ((0, 3.0), (1, 20.0)):
        ratio = clips[k].square().mean() / (found[k] - clips[k]).square().mean()
        assert 10 * math.log10(ratio) == pytest.approx(expected, abs=0.01)
    assert (found[2] == 0).all()
    silent = waveforms.add_noise(clips, torch.zeros_like(white), torch.full((3,), 3.0))
    assert torch.equal(silent, clips)


@pytest.mark.parametrize("band", range(7))
def test_each_band_of_the_equaliser_has_its_gain(band):
    gains = torch.zeros(2, 7)
    gains[0, band], gains[1, band] = 6.0, -12.0
    for other, hz in enumerate(waveforms.EQ_CENTRES_HZ):
        clip = tone(hz) * torch.hann_window(RATE)
        found = waveforms.seven_band_eq(clip.repeat(2, 1), gains, RATE)
        expected = [6.0, -12.0] if other == band else [0.0, 0.0]
        ratios = 10 * torch.log10(found.square().sum(1) / clip.square().sum())
        assert ratios.tolist() == pytest.approx(expected, abs=0.15)


def test_the_equaliser_is_flat_beyond_its_outer_bands_and_even_between_centres():
    gains = torch.tensor([[6.0, 0, 0, 4.0, 0, 0, -6.0]])
    for hz, expected in ((40, 6.0), (7500, -6.0), (800 * 2**0.5, 2.0)):
        clip = tone(hz) * torch.hann_window(RATE)
        [found] = waveforms.seven_band_eq(clip[None], gains, RATE)
        ratio = 10 * math.log10(found.square().sum() / clip.square().sum())
        assert ratio == pytest.approx(expected, abs=0.15), hz


def test_level_brings_back_the_root_mean_square():
    clips = torch.stack([tone(440), torch.zeros(RATE)])
    found = waveforms.level(clips, torch.tensor([0.1, 0.1]))
    assert float(found[0].square().mean().sqrt()) == pytest.approx(0.1)
    assert (found[1] == 0).all()


# ----- mixes


def test_sums_are_means_with_united_labels():
    bank = Bank(20, 4)
    clips = bank(torch.arange(20))
    draws = Draws.of(range(20), seed=5, epoch=1)
    found = mixing.summed(clips, draws, bank, most=3, name="SUM_N_SAMPLES")
    counts = 1 + draws.integers("SUM_N_SAMPLES count", 3)
    assert set(counts.tolist()) == {1, 2, 3}
    first, second = bank.asked[1:]
    for k, count in enumerate(counts.tolist()):
        parts = [k, first[k], second[k]][:count]
        expected = sum(part + 1 for part in parts) / count
        assert found.waveforms[k].tolist() == pytest.approx([expected] * 4)
        assert set(torch.nonzero(found.targets[k])[:, 0].tolist()) == set(parts)
    assert len(bank.asked) == 3, "the clip itself and two partners"


def test_concatenation_shares_the_time_and_unites_the_labels():
    bank = Bank(20, 30)
    clips = bank(torch.arange(20))
    draws = Draws.of(range(20), seed=1, epoch=0)
    found = mixing.joined(clips, draws, bank, most=3)
    counts = (1 + draws.integers("CONCAT_N_SAMPLES count", 3)).tolist()
    assert set(counts) == {1, 2, 3}
    first, second = bank.asked[1:]
    for k, count in enumerate(counts):
        parts = [k, first[k], second[k]][:count]
        expected = [part + 1.0 for part in parts for _ in range(30 // count)]
        assert found.waveforms[k].tolist() == expected
        assert set(torch.nonzero(found.targets[k])[:, 0].tolist()) == set(parts)


def test_concatenated_excerpts_are_where_the_clip_sounds():
    quiet_end = torch.zeros(1, 3000)
    quiet_end[:, :1500] = 1.0
    lengths = torch.tensor([1000])
    heard = []
    for record in range(40):
        draws = Draws.of([record], seed=0, epoch=0)
        start = int(mixing._loud_start(quiet_end, lengths, draws, "x")[0])
        assert 0 <= start <= 2000
        heard.append(float(quiet_end[0, start : start + 1000].mean()))
    assert np.mean(np.array(heard) > 0.3) > 0.95


def test_labels_of_a_mix_are_open_where_one_clip_leaves_them_open():
    known = torch.tensor([[True, True, True]])
    partly = torch.tensor([[True, False, False]])
    one = Clips(torch.zeros(1, 2), torch.tensor([[1.0, 1.0, 0.0]]), known)
    other = Clips(torch.zeros(1, 2), torch.tensor([[0.0, math.nan, math.nan]]), partly)
    targets, mask = mixing.united(one, other, torch.tensor([True]))
    assert mask.tolist() == [[True, True, False]]
    assert targets[0, :2].tolist() == [1.0, 1.0]


# ----- the chain


def everything(folder, *but):
    names = [name for name in settings.AUGMENTATIONS if name not in but]
    return settings.parse(names, [f"path_background_noise={folder}"])


@pytest.fixture
def noises(tmp_path):
    for name, hz in (("b", 300), ("a", 500)):
        reading.write(tmp_path / f"{name}.wav", tone(hz, 0.5).numpy(), 8000)
    return tmp_path


# Phases of nearly silent bands are rounding; the phase vocoder carries them on.
@pytest.mark.parametrize(("but", "atol"), [(("TIME_STRETCH", "PITCH"), 1e-5), ((), 5e-3)])
def test_augmented_waveforms_do_not_depend_on_the_batch_or_its_order(noises, but, atol):
    generator = torch.Generator().manual_seed(2)
    bank = Bank(8, 4000)
    clips = bank(torch.arange(8))
    clips = clips._replace(waveforms=torch.randn(8, 4000, generator=generator))
    augmenter = chain.WaveformAugmenter(everything(noises, *but), RATE, bank)
    whole = augmenter(clips, Draws.of(range(8), seed=1, epoch=4))
    rows = [5, 2, 7]
    part = augmenter(Clips(*(field[rows] for field in clips)), Draws.of(rows, seed=1, epoch=4))
    torch.testing.assert_close(part.waveforms, whole.waveforms[rows], atol=atol, rtol=0)
    assert torch.equal(part.targets, whole.targets[rows])
    assert torch.isfinite(whole.waveforms).all()
    again = augmenter(clips, Draws.of(range(8), seed=1, epoch=5))
    assert not torch.allclose(again.waveforms, whole.waveforms)
    before = clips.waveforms.square().mean(1)
    assert (whole.waveforms.square().mean(1) > 0.01 * before).all()


@pytest.mark.parametrize("name", settings.WAVEFORM)
def test_every_augmentation_changes_the_waveform_and_not_the_labels(name, noises):
    names = ["CLIPPING", name] if name == "NORM_AFTER_TIME_AUGS" else [name]
    spec = settings.parse(names, [f"path_background_noise={noises}", "time_inversion_p=1"])
    clips = Bank(3, 8000)(torch.arange(3))
    clips = clips._replace(waveforms=torch.stack([tone(hz, 0.5) for hz in (310, 620, 880)]))
    found = chain.WaveformAugmenter(spec, RATE)(clips, Draws.of(range(3), seed=0, epoch=0))
    assert found.waveforms.shape == clips.waveforms.shape
    assert ((found.waveforms - clips.waveforms).abs().amax(1) > 1e-3).all()
    assert torch.equal(found.targets, clips.targets)
    if name == "NORM_AFTER_TIME_AUGS":
        same = clips.waveforms.square().mean(1)
        torch.testing.assert_close(found.waveforms.square().mean(1), same)


def test_time_masks_have_the_lengths_they_may_have():
    spec = settings.parse(["TIME_MASK"], ["time_mask_max_percentage=0.3"])
    clips = Bank(400, 1000)(torch.arange(400))
    found = chain.WaveformAugmenter(spec, RATE)(clips, Draws.of(range(400), seed=0, epoch=0))
    silent = (found.waveforms == 0).sum(1)
    assert int(silent.max()) <= 300
    assert float(silent.float().mean()) == pytest.approx(150, abs=12)
    edges = (found.waveforms == 0).int().diff(dim=1).abs().sum(1)
    assert (edges <= 2).all(), "one stretch a clip"


def test_a_share_of_the_clips_is_played_backwards():
    spec = settings.parse(["TIMEINV"], ["time_inversion_p=0.25"])
    clips = Clips(torch.arange(4.0).repeat(2000, 1), torch.zeros(2000, 1), torch.ones(2000, 1) > 0)
    found = chain.WaveformAugmenter(spec, RATE)(clips, Draws.of(range(2000), seed=0, epoch=0))
    assert float((found.waveforms[:, 0] == 3).float().mean()) == pytest.approx(0.25, abs=0.03)


def test_background_noise_is_read_in_the_order_of_names_at_the_clips_rate(noises):
    found = chain.background(noises, RATE)
    # Tones of half a second, written as if they were of 8 kHz: twice as long, an octave lower.
    assert len(found) == 2 * RATE
    assert loudest_hz(found[1000:15000]) == pytest.approx(250, abs=1)
    assert loudest_hz(found[RATE + 1000 : RATE + 15000]) == pytest.approx(150, abs=1)


# ----- settings


def test_the_documents_keys_are_read():
    found = settings.parse(
        ["TIME_STRETCH", "FREQ_MASK"],
        ["stretch_factors=0.9,1.1", "freq_mask_param=50", "sum_n_samples=2", "std_noise=.02"],
    )
    assert (found.stretch_factors, found.freq_mask_param) == ((0.9, 1.1), 50)
    assert (found.sum_n_samples, found.std_noise) == (2, 0.02)
    defaults = settings.parse([])
    assert defaults.stretch_factors == (0.8, 1.25)
    assert (defaults.time_inversion_p, defaults.freq_mask_param) == (0.5, 30)
    assert (defaults.hide_random_pixels_p, defaults.std_noise) == (0.25, 0.01)
    assert (defaults.concat_n_samples, defaults.sum_n_samples) == (3, 3)
    assert (defaults.path_background_noise, defaults.time_mask_max_percentage) == (None, 0.3)


@pytest.mark.parametrize(
    ("names", "words", "said"),
    [
        (["PITHC"], [], "augmentations: no augmentation 'PITHC'; did you mean 'PITCH'?"),
        ([], ["freq_mask=3"], "no key 'freq_mask'; did you mean 'freq_mask_param'?"),
        ([], ["names=3"], "no key 'names'"),
        ([], ["freq_mask_param"], "'freq_mask_param' must be key=value"),
        ([], ["freq_mask_param=3.5"], "freq_mask_param must be a whole number, got '3.5'"),
        ([], ["std_noise=loud"], "std_noise must be a number, got 'loud'"),
        ([], ["std_noise=nan"], "std_noise must be between 0 and 10, got nan"),
        ([], ["stretch_factors=0.8"], "stretch_factors must be two numbers"),
        ([], ["stretch_factors=1.2,0.8"], "stretch_factors must rise"),
        ([], ["hide_random_pixels_p=1.5"], "must be between 0 and 1, got 1.5"),
        ([], ["sum_n_samples=0"], "sum_n_samples must be between 1 and 100, got 0"),
        ([], ["sum_n_samples=2", "sum_n_samples=3"], "sum_n_samples is given twice"),
        (["BACKGROUND_NOISE"], [], "BACKGROUND_NOISE needs path_background_noise=FOLDER"),
    ],
)
def test_wrong_names_and_words_are_one_line(names, words, said):
    with pytest.raises(ConfigError) as raised:
        settings.parse(names, words)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_an_augmentation_lacks_is_said_before_training(tmp_path):
    spec = settings.parse(["BACKGROUND_NOISE"], [f"path_background_noise={tmp_path / 'none'}"])
    with pytest.raises(ConfigError, match=r"no audio in .*none; name a folder of audio files"):
        chain.WaveformAugmenter(spec, RATE)
    with pytest.raises(ConfigError, match="needs the training clips"):
        chain.WaveformAugmenter(settings.parse(["SUM_TWO_SAMPLES"]), RATE)
