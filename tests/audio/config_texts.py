"""A config of the zoo, and what the tests of configs read in them."""

from __future__ import annotations

import inspect

import pytest
from pydantic import BaseModel

from soundgate.audio import config
from soundgate.errors import ConfigError

V1 = """
general: {project_name: AED_project, logs_dir: logs, saved_models_dir: saved_models}
train_parameters:
  batch_size: 24
  training_epochs: 40
  optimizer: adam
  initial_learning: 0.005
  patience: 30
  learning_rate_scheduler: reducelronplateau
  restore_best_weights: False
dataset:
  name: fsd50k
  class_names: ['Speech', 'Knock']
  audio_path: audio
  csv_path: meta.csv
  file_extension: .wav
  use_other_class: True
  n_samples_per_other_class: 3
  validation_split: 0.1
  test_split : 0.2
  test_path:
pre_processing: {min_length: 1, max_length: 10, target_rate: 16000, top_db: 30}
feature_extraction: {patch_length: 96, fmin: 125, fmax: 7500, norm: None}
data_augmentation:
  GaussianNoise: 0.2
  VolumeAugment: True
  min_scale: 0.7
  max_scale: 1.3
  SpecAug: False
  freq_mask_param: 1
  time_mask_param: 2
  n_freq_mask: 3
  n_time_mask: 4
  mask_value : 0
model:
  model_type: {name : miniresnetv2, n_stacks: 2, pooling: None}
  input_shape: [64, 96]
  expand_last_dim: True
  transfer_learning : True
  fine_tune : True
  dropout: 0.1
  multi_label : True
quantization: {quantize: True, evaluate: True, quantizer: TFlite_converter}
stm32ai: {version: 7.3.0, footprints_on_target: False}
mlflow: {uri: ./mlruns}
"""


def explained(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, "user.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def sections(model: type[BaseModel] = config.UserConfig) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for kind in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                found |= sections(kind)
    return found
