"""The package that Microsoft publishes, with the same weights on the same sounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import soundfile
import torch
import transformers

from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings
from soundgate.audio.networks.encoders.catalogue import load_encoder, load_text_encoder
from soundgate.audio.networks.encoders.clap import cnn14, htsat
from soundgate.audio.networks.encoders.clap.microsoft import load_audio
from soundgate.audio.networks.encoders.clap.text import MicrosoftText
from soundgate.audio.networks.encoders.interface import EncoderSettings
from tests.audio.embedding.stand_in import Record
from tests.audio.encoders.clap_files import SIZE, TINY, write_clap

msclap = pytest.importorskip("msclap", reason="msclap is not installed: see the extra clap")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Random weights of the true shape of 2023, and a small GPT-2 of the true width."""
    folder = tmp_path_factory.mktemp("published")
    write_clap(
        folder / "CLAP_weights_2023.pth",
        geometry=htsat.Geometry(),
        size=1024,
        text=folder / "gpt2",
        width=768,
    )
    # The package wants the tower's own weights too, which those of CLAP then replace.
    config = transformers.GPT2Config.from_pretrained(folder / "gpt2")
    transformers.GPT2Model(config).save_pretrained(folder / "gpt2")
    rng = np.random.default_rng(0)
    for seconds in (3, 7):
        samples = rng.normal(size=seconds * 44_100) * np.hanning(seconds * 44_100) * 0.1
        soundfile.write(folder / f"{seconds}.wav", samples, 44_100, subtype="FLOAT")
    return folder


@pytest.fixture
def wrapper(published, monkeypatch):
    """``msclap.CLAP`` as its users have it; its reader needs torchcodec."""
    monkeypatch.chdir(published)  # where it finds the folder gpt2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = msclap.CLAP(published / "CLAP_weights_2023.pth", version="2023", use_cuda=False)
    monkeypatch.setattr(
        found, "read_audio", lambda path, resample: (torch.from_numpy(read(path))[None], 44_100)
    )
    return found


def read(path):
    return soundfile.read(path, dtype="float32")[0]


def test_equals_msclap_on_its_own_preprocessing(published, wrapper):
    files = ["3.wav", "7.wav"]
    expected = wrapper.get_audio_embeddings(files).numpy()
    settings = EncoderSettings(path=published / "CLAP_weights_2023.pth")
    records = [Record(name, name) for name in files]
    for name in ("clap-2023", "msclap-2023"):
        encoder = load_encoder(EncoderSettings(name=name, path=settings.path))
        found = dict(embed_records(records, published, encoder, EmbeddingSettings()))
        difference = np.abs(np.stack([found[file] for file in files]) - expected).max()
        assert difference < 1e-4, name
        # The two sounds differ by a hundred times that, so the comparison means something.
        assert np.abs(expected[0] - expected[1]).max() > 1e-2

    sentences = ["this is the sound of rain", "a dog!"]
    reader = load_text_encoder(EncoderSettings(path=settings.path, text_path=published / "gpt2"))
    # transformers 5 calls it by another name
    wrapper.tokenizer.encode_plus = wrapper.tokenizer
    told = torch.nn.functional.normalize(wrapper.get_text_embeddings(sentences), dim=1)
    torch.testing.assert_close(reader.texts(sentences), told, atol=1e-5, rtol=0)
    similarity = wrapper.compute_similarity(torch.from_numpy(expected), told)
    scaled = torch.nn.functional.normalize(torch.from_numpy(expected), dim=1) @ told.T
    torch.testing.assert_close(similarity, scaled * reader.scale)


@pytest.mark.parametrize("name", ["clap-2023", "clap-2022"])
def test_tiny_networks_equal_those_of_msclap(tmp_path, name):
    """Shifted windows, merged patches and every kind of layer, without the published size."""
    path = write_clap(tmp_path / "tiny.pth", name)
    own, sizes = load_audio(name, path).eval(), TINY[name]
    if name == "clap-2023":
        from msclap.models import config
        from msclap.models.htsat import HTSAT_Swin_Transformer

        theirs = HTSAT_Swin_Transformer(
            num_classes=sizes.classes,
            embed_dim=sizes.size,
            depths=list(sizes.depths),
            num_heads=list(sizes.heads),
            config=config,
        )
        inside, output = "audio_encoder.base.htsat.", "latent_output"
    else:
        theirs = cnn14_of_msclap(sizes)
        inside, output = "audio_encoder.base.", "embedding"
    held = torch.load(path, weights_only=True)["model"]
    theirs.load_state_dict(
        {key.removeprefix(inside): value for key, value in held.items() if inside in key}
    )
    window = torch.randn(2, own.window_samples) * torch.tensor([[0.3], [0.003]])
    with torch.inference_mode():
        expected = own.projection(theirs.eval()(window)[output])
        torch.testing.assert_close(own(window), expected, atol=1e-4, rtol=0)
    assert expected.shape == (2, SIZE)


def cnn14_of_msclap(sizes):
    from msclap.models.audio import Cnn14, ConvBlock

    theirs = Cnn14(44_100, 1024, 320, 64, 50, 14_000, sizes.classes, sizes.embedding_size)
    channels = (1, *sizes.channels)
    for k in range(6):
        setattr(theirs, f"conv_block{k + 1}", ConvBlock(channels[k], channels[k + 1]))
    theirs.fc1 = torch.nn.Linear(channels[-1], sizes.embedding_size)
    return theirs


def test_sentences_of_2022_equal_those_of_msclap(tmp_path, monkeypatch):
    """BERT: the first token of a sentence, whatever it was filled up with."""
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=12, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=110,
    )  # fmt: skip
    config.save_pretrained(tmp_path / "bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "sound", "of", "rain"]
    (tmp_path / "bert/vocab.txt").write_text("\n".join(words))
    monkeypatch.setattr(
        "msclap.models.clap.AutoModel.from_pretrained",
        lambda name: transformers.BertModel(config).eval(),
    )
    theirs = msclap.models.clap.TextEncoder(SIZE, "bert-base-uncased", 12).eval()
    held = {f"caption_encoder.{key}": value for key, value in theirs.state_dict().items()}
    held["caption_encoder.base.embeddings.position_ids"] = torch.arange(110)[None]
    held["logit_scale"] = torch.tensor(1.0)
    torch.save({"model": held}, tmp_path / "2022.pth")
    reader = load_text_encoder(
        EncoderSettings(name="clap-2022", path=tmp_path / "2022.pth", text_path=tmp_path / "bert")
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "bert")
    sentences = ["the sound of rain", "rain"]
    tokens = tokenizer(sentences, padding="max_length", max_length=100, return_tensors="pt")
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(theirs(tokens), dim=1)
    torch.testing.assert_close(reader.texts(sentences), expected, atol=1e-5, rtol=0)


def test_names_and_shapes_of_the_published_files_are_all_expected(monkeypatch):
    """Of both years and both towers, without the gigabyte that their numbers take."""
    from msclap.models import clap

    towers = {"gpt2": transformers.GPT2Config(), "bert-base-uncased": transformers.BertConfig()}
    monkeypatch.setattr(
        clap.AutoModel,
        "from_pretrained",
        lambda name: transformers.AutoModel.from_config(towers[name]),
    )
    networks = {
        "clap-2023": (htsat.Htsat, htsat.Geometry(), "HTSAT", 768, "gpt2", 8000),
        "clap-2022": (cnn14.Cnn14, cnn14.Geometry(), "Cnn14", 2048, "bert-base-uncased", 14_000),
    }
    for kind, geometry, their_name, size, tower, top_hz in networks.values():
        own = kind(geometry).expected()
        theirs = clap.get_audio_encoder(their_name)(44_100, 1024, 320, 64, 50, top_hz, 527, size)
        below = {key.removeprefix("htsat."): value for key, value in theirs.state_dict().items()}
        assert shapes(own) == shapes(below)
        with torch.device("meta"):
            reads = clap.TextEncoder(1024, tower, 768)
            base = transformers.AutoModel.from_config(towers[tower])
            mine = MicrosoftText("clap-2023", base, 1024)
        assert shapes(mine.state_dict()) == shapes(reads.state_dict())


def shapes(held):
    return {key: tuple(value.shape) for key, value in held.items()}
