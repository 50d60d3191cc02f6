"""The STM32 model zoo's spellings of a user config, brought to one.

Three generations of ``user_config.yaml`` exist: v1 (``train_parameters``, ``pre_processing``,
``model``), the services repository (``training.model``) and its successor (top-level ``model`` with
``model_name``). What differs is moved to its present place; what has no meaning here is passed over
by name. Values are never evaluated: the zoo hands its strings to Python's ``eval``, here they stay
strings.
"""

from __future__ import annotations

import copy
import re
from typing import Any

Path = tuple[str, ...]

MOVES = {
    "pre_processing": "preprocessing",
    "train_parameters.batch_size": "training.batch_size",
    "train_parameters.training_epochs": "training.epochs",
    "train_parameters.optimizer": "training.optimizer",
    "train_parameters.initial_learning": "training.learning_rate",
    "train_parameters.patience": "training.callbacks.EarlyStopping.patience",
    "train_parameters.restore_best_weights": (
        "training.callbacks.EarlyStopping.restore_best_weights"
    ),
    "train_parameters.learning_rate_scheduler": "training.schedule",
    "dataset.dataset_name": "dataset.name",
    "dataset.audio_path": "dataset.training_audio_path",
    "dataset.csv_path": "dataset.training_csv_path",
    "dataset.test_path": "dataset.test_audio_path",
    "dataset.test_split": "dataset.n_folds",
    "dataset.use_other_class": "dataset.use_garbage_class",
    "train_parameters.use_other_class": "dataset.use_garbage_class",
    "dataset.n_samples_per_other_class": "dataset.n_samples_per_garbage_class",
    "model.model_type": "training.model",
    "model.model_name": "training.model.name",
    "model.pretrained": "training.model.pretrained_weights",
    "model.transfer_learning": "training.model.pretrained_weights",
    "model.fine_tune": "training.fine_tune",
    "model.dropout": "training.dropout",
    "model.multi_label": "dataset.multi_label",
    "model.unknown_class_threshold": "deployment.unknown_class_threshold",
}
"""Where a key of an older generation stands now."""

PASSED_OVER = frozenset(
    {
        "operation_mode",
        "tools",
        "stm32ai",
        "benchmarking",
        "hydra",
        "mlflow",
        "general.model_path",
        "general.logs_dir",
        "general.saved_models_dir",
        "general.config_path",
        "general.gpu_memory_limit",
        "general.display_figures",
        "general.num_threads_tflite",
        "dataset.expand_last_dim",
        "dataset.shuffle",
        "dataset.batch_size",
        "model.model_path",
        "model.input_shape",
        "model.expand_last_dim",
        "data_augmentation.placeholder",
        "training.model.input_shape",
        "training.resume_training_from",
        "training.trained_model_path",
        "training.frozen_layers",
        "training.callbacks.ReduceLROnPlateau.verbose",
        "training.callbacks.EarlyStopping.verbose",
        "training.callbacks.ModelCheckpoint",
        "training.callbacks.CSVLogger",
        "training.callbacks.TensorBoard",
        "quantization.quantize",
        "quantization.evaluate",
        "quantization.quantizer",
        "quantization.export_dir",
        "quantization.extra_options",
        "evaluation.gen_npy_input",
        "evaluation.gen_npy_output",
        "evaluation.npy_in_name",
        "evaluation.npy_out_name",
        "evaluation.target",
        "deployment.build_conf",
        "deployment.c_project_path",
        "deployment.IDE",
        "deployment.verbosity",
        "deployment.hardware_setup",
    }
)
"""Keys of the zoo that mean nothing here: boards, tools, folders that the pipeline decides."""

TRAINING_MODES = ("training", "chain_tqe", "chain_tqeb", "chain_tbqeb")
"""Operation modes of the zoo that train a model, quantise it and evaluate it, in some order."""

OTHER_MODES = {
    "prediction": "pipelines.predict scores files with a registered model",
    "evaluation": "the zoo evaluates the model of general.model_path, which is not trained here",
    "quantization": "every training quantises its model; `quantization` says how",
    "benchmarking": "boards are measured with the zoo's own tools",
    "deployment": "boards are programmed with the zoo's own tools",
    **dict.fromkeys(
        ("chain_eqe", "chain_qb", "chain_eqeb", "chain_qd"),
        "it begins with the model of general.model_path, which is not trained here",
    ),
}
"""Operation modes that train nothing, and what to do instead."""

PATHS = (
    *(
        f"dataset.{split}_{kind}_path"
        for split in ("training", "validation", "test")
        for kind in ("audio", "csv")
    ),
    *("dataset.quantization_audio_path", "dataset.quantization_csv_path"),
    *("prediction.test_files_path", "training.model.pretrained_weights"),
    *(
        f"dataset_specific.fsd50k.{key}"
        for key in ("csv_folder", "dev_audio_folder", "eval_audio_folder", "audioset_ontology_path")
    ),
)
"""Values that are paths: the zoo's own files write them as Windows does."""

LIFTED = ("learning_rate", "weight_decay")
"""Arguments of the optimiser that are the training's own here."""

_SCHEDULES = {"reducelronplateau": "plateau", "lrwarmupcosinedecay": "cosine"}


class Translation:
    """A config in today's spelling.

    Attributes:
        data: sections as the typed config knows them, plus whatever nobody knows.
        passed_over: dotted keys that were left out, in the order of the file.
        origins: where a moved value stood in the file, by its new path.
        conflicts: pairs of dotted keys of the file that mean the same.
        unknown: dotted keys of the older generations' sections that nobody knows.
        refused: dotted keys whose meaning cannot be kept, each with what to do instead.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        """Translate a copy of ``data``."""
        self.data = copy.deepcopy(data)
        self.passed_over: tuple[str, ...] = ()
        self.origins: dict[Path, Path] = {}
        self.conflicts: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self._pass_over()
        for old, new in MOVES.items():
            self._move(tuple(old.split(".")), tuple(new.split(".")))
        self.unknown: list[str] = []
        for section in ("train_parameters", "model"):
            left = self.data.get(section)
            if isinstance(left, dict) or left is None:
                self.data.pop(section, None)
                self.unknown += [f"{section}.{key}" for key in left or {}]
        self._paths()
        self._collapse()
        self._dataset()
        self._augmentation()
        self._training()

    def origin(self, path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The path in the file of the value that is now at ``path``."""
        for length in range(len(path), 0, -1):
            old = self.origins.get(tuple(str(part) for part in path[:length]))
            if old is not None:
                return (*old, *path[length:])
        return path

    def _pass_over(self) -> None:
        names = []
        for path, value in list(_walk(self.data)):
            if ".".join(path) in PASSED_OVER:
                self._take(path)
                if value is not None:
                    names.append(".".join(path))
        self.passed_over = tuple(names)

    def _take(self, path: Path) -> Any:
        """Remove and return the value at ``path``; None where there is none."""
        section: Any = self.data
        for part in path[:-1]:
            section = section.get(part) if isinstance(section, dict) else None
        return section.pop(path[-1], None) if isinstance(section, dict) else None

    def _section(self, path: Path) -> dict[str, Any] | None:
        """The mapping at ``path``, made where missing; None where something else stands there."""
        section: Any = self.data
        for part in path:
            if section.get(part) is None:
                section[part] = {}
            section = section[part]
            if not isinstance(section, dict):
                return None
        return section  # type: ignore[no-any-return]

    def _move(self, old: Path, new: Path) -> None:
        value = self._take(old)
        section = None if value is None else self._section(new[:-1])
        if section is None:
            return
        present = section.get(new[-1])
        if present == value:
            return
        if isinstance(present, dict) and isinstance(value, dict):
            value = value | present
        elif present is not None:
            before = self.origins.get(new, new)
            self.conflicts.append((".".join(before), ".".join(old)))
            return
        section[new[-1]] = value
        self.origins[new] = tuple(str(part) for part in self.origin(old))

    def _paths(self) -> None:
        """Write back-slashes of relative paths as slashes: here they would be part of a name."""
        for dotted in PATHS:
            *parents, last = dotted.split(".")
            section: Any = self.data
            for part in parents:
                section = section.get(part) if isinstance(section, dict) else None
            value = section.get(last) if isinstance(section, dict) else None
            if isinstance(value, str) and "\\" in value and "/" not in value:
                section[last] = value.replace("\\", "/")

    def _collapse(self) -> None:
        """The zoo can keep one label of a clip at random, which is wrong for its other sounds."""
        dotted = "dataset_specific.fsd50k.collapse_to_monolabel"
        asked = self._take(tuple(dotted.split(".")))
        if asked is None:
            return
        section = self._section(("dataset_specific", "fsd50k")) or {}
        if asked and section.get("only_keep_monolabel") is False:
            instead = "set only_keep_monolabel: true, or dataset.multi_label: true"
            self.refused.append((dotted, f"draws one of a clip's labels at random; {instead}"))
        else:
            self.passed_over += (dotted,)

    def _dataset(self) -> None:
        dataset = self.data.get("dataset")
        share = dataset.get("n_folds") if isinstance(dataset, dict) else None
        moved = self.origins.get(("dataset", "n_folds"))
        # v1's share of test clips becomes the number of folds of which one is tested on.
        if moved and isinstance(share, int | float) and 0 < share <= 0.5:
            self.data["dataset"]["n_folds"] = round(1 / share)

    def _augmentation(self) -> None:
        """v1 lists the arguments of all augmentations side by side; give each its section."""
        values = self.data.get("data_augmentation")
        if not isinstance(values, dict):
            return
        noise = values.get("GaussianNoise")
        if isinstance(noise, bool):
            values["GaussianNoise"] = {"enable": noise}
        elif isinstance(noise, int | float):
            values["GaussianNoise"] = {"enable": True, "scale": noise}
        arguments = {
            "VolumeAugment": ("min_scale", "max_scale"),
            "SpecAug": (
                *("freq_mask_param", "time_mask_param"),
                *("n_freq_mask", "n_time_mask", "mask_value"),
            ),
        }
        for name, keys in arguments.items():
            if isinstance(values.get(name), bool):
                values[name] = {"enable": values[name]}
                for key in keys:
                    self._move(("data_augmentation", key), ("data_augmentation", name, key))

    def _training(self) -> None:
        training = self.data.get("training")
        if not isinstance(training, dict):
            return
        model = training.get("model")
        if isinstance(model, dict):
            _model_name(model)
        self._optimizer(training)
        self._schedule(training)

    def _optimizer(self, training: dict[str, Any]) -> None:
        optimizer = training.get("optimizer")
        path = ("training", "optimizer")
        if isinstance(optimizer, str):
            training["optimizer"] = {"name": optimizer.lower()}
        elif isinstance(optimizer, dict) and len(optimizer) == 1 and "name" not in optimizer:
            ((name, arguments),) = optimizer.items()
            if arguments is not None and not isinstance(arguments, dict):
                return
            training["optimizer"] = {"name": str(name).lower(), **(arguments or {})}
            written = self.origins.get(path, path)
            self.origins[path] = (*written, str(name))
            self.origins[*path, "name"] = (*written, str(name))
        for key in LIFTED:
            self._move((*path, key), ("training", key))

    def _schedule(self, training: dict[str, Any]) -> None:
        schedule = training.get("schedule")
        if isinstance(schedule, str):
            training["schedule"] = _SCHEDULES.get(schedule.lower(), schedule.lower())
        callbacks = training.get("callbacks")
        if not isinstance(callbacks, dict):
            return
        # Keras writes a callback without arguments as an empty value.
        for name in ("ReduceLROnPlateau", "EarlyStopping"):
            if name in callbacks and callbacks[name] is None:
                callbacks[name] = {}
        implied = None
        if isinstance(callbacks.get("ReduceLROnPlateau"), dict):
            implied = "plateau"
        for name in [key for key in callbacks if re.fullmatch(r"LR\w*Decay\w*", str(key))]:
            implied = "cosine"
            callbacks.pop(name)
            self.passed_over += (f"training.callbacks.{name} (schedule: cosine instead)",)
        if implied and training.get("schedule") is None:
            training["schedule"] = implied


def _model_name(model: dict[str, Any]) -> None:
    """Split a name that carries a size, such as ``yamnet_e256`` or ``miniresnetv2_s2``."""
    name = model.get("name")
    if not isinstance(name, str):
        return
    if match := re.fullmatch(r"yamnet_e?(\d+)", name.lower()):
        model["name"] = "yamnet"
        model.setdefault("embedding_size", int(match[1]))
    elif match := re.fullmatch(r"miniresnet(v[12])?(?:_s?(\d+)(?:_?stacks?)?)?", name.lower()):
        model["name"] = "miniresnet"
        # In the zoo a miniresnet without a version is the first.
        model.setdefault("version", match[1] or "v1")
        if match[2]:
            model.setdefault("n_stacks", int(match[2]))


def _walk(data: Any, above: Path = ()) -> Any:
    if isinstance(data, dict):
        for key, value in data.items():
            path = (*above, str(key))
            yield path, value
            if ".".join(path) not in PASSED_OVER:
                yield from _walk(value, path)
