from __future__ import annotations

import pytest
from config_texts import V1

from soundgate.audio import config
from soundgate.errors import ConfigError


def test_v1_schema_is_converted():
    read = config.parse(V1, "user_config.yaml")
    training = read.training
    assert (training.batch_size, training.epochs, training.learning_rate) == (24, 40, 0.005)
    assert (training.optimizer.name, training.schedule) == ("adam", "plateau")
    assert training.callbacks.early_stopping == config.EarlyStopping(
        patience=30, restore_best_weights=False
    )
    assert (training.fine_tune, training.dropout) == (True, 0.1)
    assert (training.model.name, training.model.version) == ("miniresnet", "v2")
    assert (training.model.n_stacks, training.model.pretrained_weights) == (2, True)
    dataset = read.dataset
    assert (dataset.training_audio_path, dataset.training_csv_path) == ("audio", "meta.csv")
    assert (dataset.use_garbage_class, dataset.n_samples_per_garbage_class) == (True, 3)
    assert (dataset.validation_split, dataset.n_folds, dataset.multi_label) == (0.1, 5, True)
    assert read.preprocessing.top_db == 30.0
    augmentation = read.data_augmentation
    assert augmentation.gaussian_noise == config.GaussianNoise(enable=True, scale=0.2)
    assert augmentation.volume_augment == config.VolumeAugment(min_scale=0.7, max_scale=1.3)
    assert augmentation.spec_aug == config.SpecAug(
        enable=False, freq_mask_param=1, time_mask_param=2, n_freq_mask=3, n_time_mask=4
    )
    assert "stm32ai" in read.passed_over
    assert "model.input_shape" in read.passed_over


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yamnet_e1024", ("yamnet", 1024, 1, "v2")),
        ("miniresnetv2_s1", ("miniresnet", 256, 1, "v2")),
        ("miniresnetv1_s2", ("miniresnet", 256, 2, "v1")),
        ("miniresnet", ("miniresnet", 256, 1, "v1")),
    ],
)
def test_model_names_that_carry_a_size(name, expected):
    text = f"model: {{model_name: {name}, pretrained: true}}\ndataset: {{dataset_name: esc10}}"
    read = config.parse(text, "user.yaml")
    model = read.training.model
    assert (model.name, model.embedding_size, model.n_stacks, model.version) == expected
    assert model.pretrained_weights is True
    assert read.dataset.name == "esc10"


def test_an_empty_text_is_the_recommended_recipe():
    read = config.parse("", "user.yaml")
    assert read == config.UserConfig()
    assert read.dataset.name == "AED_Dataset"
    assert read.general.global_seed == 120
    augmentation = read.data_augmentation
    on = {
        name for name in config.DataAugmentation.model_fields if getattr(augmentation, name).enable
    }
    assert on == {"gain", "mixup", "spec_aug"}
    assert (read.training.optimizer.name, read.training.weight_decay) == ("adamw", 0.05)


def test_augmentation_section_turns_on_what_it_lists_only():
    read = config.parse("data_augmentation: {GaussianNoise: {scale: 0.5}}", "user.yaml")
    assert read.data_augmentation == config.DataAugmentation(
        GaussianNoise=config.GaussianNoise(enable=True, scale=0.5)
    )


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("SGD: {learning_rate: 0.1, momentum: 0.9}", ("sgd", 0.1, 0.0, 0.9)),
        ("AdamW: {weight_decay: 0.2}", ("adamw", 3e-3, 0.2, 0.0)),
        ("Adam:", ("adam", 3e-3, 0.0, 0.0)),
    ],
)
def test_optimizer_as_keras_writes_it(optimizer, expected):
    training = config.parse(f"training:\n optimizer:\n  {optimizer}", "u.yaml").training
    found = training.optimizer
    assert (found.name, training.learning_rate, training.weight_decay, found.momentum) == expected


def test_zoo_schedule_becomes_cosine_and_says_so():
    text = "training: {callbacks: {LRWarmupCosineDecay: {initial_lr: 0.1}}}"
    read = config.parse(text, "user.yaml")
    assert read.training.schedule == "cosine"
    assert read.passed_over == (
        "training.callbacks.LRWarmupCosineDecay (schedule: cosine instead)",
    )


@pytest.mark.parametrize("mode", ["training", "chain_tqe", "chain_tqeb", "chain_tbqeb", "Training"])
def test_trains_in_the_modes_of_the_zoo_that_train(mode):
    sections, notice = config.check_training(f"operation_mode: {mode}\n{SMALL}", "user.yaml")
    assert sections["training"] == {"epochs": 3}
    assert "operation_mode" in notice


SMALL = "training: {epochs: 3}\n"


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("evaluation", "the zoo evaluates the model of general.model_path"),
        ("prediction", "pipelines.predict scores files"),
        ("deployment", "boards are programmed"),
        ("chain_eqe", "it begins with the model of general.model_path"),
        ("trainning", "did you mean 'training'"),
    ],
)
def test_refuses_to_train_in_another_operation_mode(mode, said):
    with pytest.raises(ConfigError) as caught:
        config.check_training(f"general: {{}}\noperation_mode: {mode}\n{SMALL}", "user.yaml")
    assert str(caught.value).startswith(f"user.yaml:2: operation_mode: {mode} is no training")
    assert said in str(caught.value)
    assert config.check(f"operation_mode: {mode}\n{SMALL}", "user.yaml")[0]["training"]


def test_refuses_to_drop_the_model_that_the_zoo_would_train_further():
    with pytest.raises(
        ConfigError, match=r"user\.yaml:2: general\.model_path: a\.h5 would be trained"
    ):
        config.check_training(f"general:\n  model_path: a.h5\n{SMALL}", "user.yaml")


def test_reads_keys_of_the_zoo_that_mean_nothing_here():
    text = """
        general: {config_path: x, project_name: y}
        data_augmentation: {placeholder: 1}
        train_parameters: {use_other_class: false}
        deployment: {build_conf: Debug}
        dataset_specific: {fsd50k: {collapse_to_monolabel: true}}
    """
    read = config.parse(text, "user.yaml")
    assert read.passed_over == (
        "general.config_path",
        "data_augmentation.placeholder",
        "deployment.build_conf",
        "dataset_specific.fsd50k.collapse_to_monolabel",
    )
    assert not read.dataset.use_garbage_class
