from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import get_args

import pytest
import yaml
from config_texts import V1, explained, sections
from pydantic import BaseModel

from soundgate.audio import config
from soundgate.audio.config.aed import UserConfig
from soundgate.audio.config.reading import UNREAD
from soundgate.audio.config.zoo import MOVES, PASSED_OVER
from soundgate.audio.networks.keras import BACKBONES
from soundgate.errors import ConfigError

SERVICES = r"""
general:
  project_name: kitchen
  model_path: ..\models\yamnet.h5
  logs_dir: logs
  saved_models_dir: saved_models
  global_seed: 7
  deterministic_ops: True
  gpu_memory_limit: 5
  display_figures: False
  num_threads_tflite: 1
operation_mode: chain_tqe
dataset:
  name: esc10
  class_names: ['rain', 'dog']
  file_extension: '.wav'
  training_audio_path: ..\datasets\audio
  training_csv_path: ../datasets/meta.csv
  validation_audio_path:
  validation_csv_path:
  validation_split:
  quantization_split: None
  test_audio_path:
  multi_label: False
  use_garbage_class: False
  n_samples_per_garbage_class: 2
  expand_last_dim: True
  seed: 120
  to_cache: True
  shuffle: True
dataset_specific:
  fsd50k:
    csv_folder: ./FSD50K.ground_truth
    only_keep_monolabel: True
preprocessing: {min_length: 2, max_length: 10, target_rate: 16000, top_db: 30, frame_length: 3200,
  hop_length: 3200, trim_last_second: False, lengthen: 'after'}
feature_extraction: {patch_length: 50, n_mels: 64, overlap: 0.25, n_fft: 1024, hop_length: 320,
  window_length: 1024, window: hann, center: True, pad_mode: constant, power: 2.0, fmin: 20,
  fmax: 7500, norm: None, htk: False, to_db: True, include_last_patch: False}
data_augmentation:
  GaussianNoise: {enable: True, scale: 0.3}
  VolumeAugment: {enable: True, min_scale: 0.5, max_scale: 1.25}
  SpecAug: {enable: False, freq_mask_param: 1, time_mask_param: 1, n_freq_mask: 3, n_time_mask: 4,
    mask_value: 0}
training:
  model:
    name: miniresnet
    n_stacks: 2
    version: v1
    pooling: None
    input_shape: (64, 50)
    pretrained_weights: True
  fine_tune: False
  dropout: 0
  batch_size: 16
  epochs: 50
  resume_training_from:
  optimizer:
    Adam:
      learning_rate: 0.002
  callbacks:
    ReduceLROnPlateau: {monitor: val_accuracy, mode: max, factor: 0.25, patience: 8,
      min_lr: 1.0e-05}
    EarlyStopping: {monitor: val_accuracy, mode: max, restore_best_weights: true, patience: 9}
quantization: {quantizer: TFlite_converter, quantization_type: PTQ, quantization_input_type: int8,
  quantization_output_type: float, export_dir: quantized_models}
evaluation: {gen_npy_input: False, target: host}
prediction: {test_files_path: ../clips}
tools:
  stedgeai: {version: 10.0.0, optimization: balanced, on_cloud: True}
  path_to_cubeIDE: C:/ST/stm32cubeide.exe
benchmarking: {board: B-U585I-IOT02A}
deployment:
  c_project_path: ../sensing
  IDE: GCC
  verbosity: 1
  hardware_setup: {serie: STM32U5, board: B-U585I-IOT02A}
  unknown_class_threshold: 0.25
mlflow: {uri: ./mlruns}
hydra:
  run:
    dir: ./outputs/${now:%Y_%m_%d_%H_%M_%S}
"""


def test_services_schema_is_read_whole():
    read = config.parse(SERVICES, "user_config.yaml")
    assert read.general.project_name == "kitchen"
    assert (read.general.global_seed, read.general.deterministic_ops) == (7, True)
    assert read.dataset.class_names == ("rain", "dog")
    assert read.dataset.training_audio_path == "../datasets/audio"
    assert read.dataset.validation_split == 0.2
    assert read.dataset.quantization_split is None
    assert read.dataset_specific.fsd50k.csv_folder == "./FSD50K.ground_truth"
    assert (read.preprocessing.min_length, read.preprocessing.top_db) == (2.0, 30.0)
    features = read.feature_extraction
    assert (features.n_fft, features.power, features.fmin) == (1024, 2.0, 20.0)
    assert (features.norm, features.center, features.to_db) == (None, True, True)
    augmentation = read.data_augmentation
    assert (augmentation.gaussian_noise.enable, augmentation.gaussian_noise.scale) == (True, 0.3)
    assert augmentation.volume_augment.max_scale == 1.25
    assert not augmentation.spec_aug.enable
    assert not augmentation.mixup.enable
    model = read.training.model
    assert (model.name, model.n_stacks, model.version) == ("miniresnet", 2, "v1")
    assert (model.pooling, model.pretrained_weights) == (None, True)
    assert (read.training.optimizer.name, read.training.learning_rate) == ("adam", 0.002)
    assert (read.training.weight_decay, read.training.schedule) == (0.0, "plateau")
    plateau = read.training.callbacks.reduce_lr_on_plateau
    stopping = read.training.callbacks.early_stopping
    assert plateau is not None
    assert stopping is not None
    assert (plateau.factor, plateau.patience, plateau.min_lr) == (0.25, 8, 1e-5)
    assert (stopping.patience, stopping.restore_best_weights) == (9, True)
    assert read.prediction.test_files_path == "../clips"
    assert read.deployment.unknown_class_threshold == 0.25


def test_what_is_passed_over_is_named_and_empty_keys_are_not():
    assert config.parse(SERVICES, "user_config.yaml").passed_over == (
        *("general.model_path", "general.logs_dir", "general.saved_models_dir"),
        *("general.gpu_memory_limit", "general.display_figures", "general.num_threads_tflite"),
        "operation_mode",
        *("dataset.expand_last_dim", "dataset.shuffle", "training.model.input_shape"),
        *("quantization.quantizer", "quantization.export_dir"),
        *("evaluation.gen_npy_input", "evaluation.target", "tools", "benchmarking"),
        *("deployment.c_project_path", "deployment.IDE", "deployment.verbosity"),
        *("deployment.hardware_setup", "mlflow", "hydra"),
    )


def test_anchors_and_merge_keys_are_yaml():
    text = "dataset: &d {seed: 3, name: a}\ndataset_specific: {synthetic: {seed: 4}}"
    assert config.parse(text, "u").dataset.seed == 3
    merged = config.parse("training: {model: {<<: {name: yamnet}, width: 2}}", "u").training.model
    assert (merged.name, merged.width) == ("yamnet", 2.0)


def test_load_names_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        config.load(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"general: {project_name: caf\xe9}")
    with pytest.raises(ConfigError, match=r"latin\.yaml: not UTF-8"):
        config.load(tmp_path / "latin.yaml")


def test_sections_survive_a_round_trip_through_json():
    read = config.parse(SERVICES, "user_config.yaml")
    for section in (read.preprocessing, read.feature_extraction, read.training):
        again = type(section).model_validate_json(section.model_dump_json(by_alias=True))
        assert again == section


@pytest.mark.parametrize("text", [SERVICES, V1, "", "data_augmentation: {}\ntraining: {}"])
def test_what_check_returns_reads_as_the_same_config(text):
    sections, notice = config.check(text, "user.yaml")
    read = config.parse(text, "user.yaml")
    again = config.parse(yaml.safe_dump(json.loads(json.dumps(sections))), "again")
    assert again.model_dump() == read.model_dump()
    assert again.passed_over == ()
    lines = [line for line in notice.splitlines() if "passed over" in line]
    passed_over = f"user.yaml: passed over, meaningless here: {', '.join(read.passed_over)}"
    assert lines == ([passed_over] if read.passed_over else [])


def test_check_adds_no_defaults_and_leaves_the_pipeline_section_alone():
    text = "pipeline: {epochs: [1, 2], unknown: 3}\ntrain_parameters: {training_epochs: 4}"
    assert config.check(text, "user.yaml") == ({"training": {"epochs": 4}}, "")
    assert "training.epocs" in explained("pipeline: {a: 1}\ntraining: {epocs: 3}")


def test_values_that_no_step_reads_are_named():
    text = """
    deployment: {unknown_class_threshold: 0.4}
    quantization: {optimize: true, target_opset: 18}
    dataset: {quantization_split: 0.2, n_folds: 3}
    dataset_specific: {fsd50k: {csv_folder: labels}}
    """
    assert config.check(text, "user.yaml")[1] == ""
    unread = text.replace("n_folds: 3", "quantization_csv_path: a.csv")
    notice = config.check(unread, "user.yaml")[1]
    assert notice.partition("no step reads it: ")[2] == "dataset.quantization_csv_path"


@pytest.mark.parametrize(
    ("training", "keys"),
    [
        ("epochs: 3, model: {pretrained_weights: w.h5}", "training.epochs"),
        ("epochs: 3, model: {pretrained_weights: w.h5}, fine_tune: true", ""),
        ("model: {pretrained_weights: w.h5}", ""),
        ("epochs: 3", ""),
    ],
)
def test_training_values_that_a_frozen_network_ignores_are_named(training, keys):
    notice = config.check(f"training: {{{training}}}", "user.yaml")[1]
    assert ("no effect while pretrained layers are frozen" in notice) == bool(keys)
    assert notice.endswith(f": {keys}") or not keys


def leaves(section: type[BaseModel], prefix: str = "") -> list[str]:
    found = []
    for name, field in section.model_fields.items():
        members = (field.annotation, *get_args(field.annotation))
        inner = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        found += leaves(inner[0], f"{prefix}{name}.") if inner else [f"{prefix}{name}"]
    return found


def test_every_other_value_is_read_by_code_outside_the_config():
    """A value that does nothing belongs into ``UNREAD``, or the user who sets it is fooled."""
    root = Path(__file__).resolve().parents[2]
    files = [
        *root.glob("soundgate/**/*.py"),
        *root.glob("steps/*.py"),
        *root.glob("pipelines/**/*.py"),
    ]
    text = "\n".join(f.read_text("utf-8") for f in files if "config" not in f.parts)
    whole = {
        "dataset_specific.": "dataset_specific.{dataset.section}",
        "training.model.": "size_of(",
        "inspection.": "getattr(bounds, rule.key)",
    }
    whole |= {
        f"dataset.{split}_": "dataset.{split}_" for split in ("training", "validation", "test")
    }
    whole["general.project_name"] = ""  # a note to the reader; its docstring says so
    whole["quantization.quantization_type"] = ""  # it has one value
    unread = [
        dotted
        for dotted in leaves(UserConfig)
        if not re.search(rf"\.{dotted.rpartition('.')[2]}\b", text)
        and not any(dotted.startswith(start) and way in text for start, way in whole.items())
    ]
    named = [d for d in unread if not any(d == u or d.startswith(f"{u}.") for u in UNREAD)]
    assert named == []


@pytest.mark.parametrize("name", ["aed", "aed_esc10", "aed_esc50", "aed_yamnet256"])
def test_shipped_configs_are_read_and_pass_nothing_over(name):
    root = Path(__file__).resolve().parents[2]
    read = config.load(root / "user_configs" / f"{name}.yaml")
    assert read.passed_over == ()
    names = {"aed": "synthetic", "aed_esc50": "ESC-50"}
    assert read.dataset.name == names.get(name, "ESC-10")


def test_the_shipped_backbone_config_fits_the_backbone():
    root = Path(__file__).resolve().parents[2]
    read = config.load(root / "user_configs" / "aed_yamnet256.yaml")
    row = next(entry for entry in BACKBONES if entry.name == "yamnet-256")
    assert read.training.model.name == row.architecture
    assert read.training.model.embedding_size == row.size["embedding_size"]
    assert read.training.model.pretrained_weights == Path(row.file).name
    assert read.preprocessing.target_rate == row.features.target_rate
    for key, value in row.features.feature_extraction.items():
        right = value if isinstance(value, tuple) else (value,)
        assert getattr(read.feature_extraction, key) in right, key


def test_fine_tuning_has_defaults_of_its_own():
    text = "training: {fine_tune: true, model: {name: yamnet}}"
    tuned, other = config.parse(text, "x").training, config.parse("general: {}", "x").training
    assert (tuned.learning_rate, tuned.label_smoothing) == (1e-4, 0.0)
    assert (other.learning_rate, other.label_smoothing) == (3e-3, 0.05)
    assert not config.parse(text, "x").data_augmentation.mixup.enable
    assert config.parse("general: {}", "x").data_augmentation.mixup.enable
    both = config.parse(f"{text}\ndata_augmentation: {{mixup: {{}}}}", "x")
    assert both.data_augmentation.mixup.enable
    assert not both.data_augmentation.gain.enable


def test_every_value_is_documented():
    for section in sections():
        source = textwrap.dedent(inspect.getsource(getattr(section, "options", section)))
        body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
        for statement, following in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and not statement.target.id.startswith("_"):
                told = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                assert told, (section, statement.target.id)


def test_moves_and_passed_over_keys_do_not_shadow_typed_ones():
    typed: set[str] = set()

    def collect(model: type[BaseModel], above: str) -> None:
        for name, field in model.model_fields.items():
            dotted = f"{above}{field.alias or name}"
            typed.add(dotted)
            for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if inspect.isclass(kind) and issubclass(kind, BaseModel):
                    collect(kind, f"{dotted}.")

    collect(config.UserConfig, "")
    assert not typed & (PASSED_OVER | MOVES.keys())
    assert set(MOVES.values()) <= typed


def test_importing_config_needs_no_heavy_library():
    code = (
        "import sys, soundgate.audio.config;"
        "print(sorted({'torch', 'numpy', 'soundfile', 'librosa'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_refuses_to_draw_a_label_at_random():
    text = "dataset_specific: {fsd50k: {collapse_to_monolabel: true, only_keep_monolabel: false}}"
    assert "collapse_to_monolabel: draws one of a clip's labels at random" in explained(text)


def test_a_value_given_twice_in_two_spellings_is_no_conflict():
    text = "dataset: {audio_path: a, training_audio_path: a}"
    assert config.parse(text, "user.yaml").dataset.training_audio_path == "a"
    text = "dataset: {audio_path: a, training_audio_path: b}"
    assert "has the same meaning as" in explained(text)
