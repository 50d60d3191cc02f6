#!/bin/sh
# runs/aed/RUN-ID
set -eu

# fetch: 4 cpus, 8 GB
python -m steps.fetch --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --clips runs/aed/RUN-ID/tasks/fetch/clips --card runs/aed/RUN-ID/tasks/fetch/card --source 'data/ESC 10' --dataset ESC-10 --store runs/store --download-command ''

# preprocess: 4 cpus, 8 GB; after fetch
python -m steps.preprocess --clips runs/aed/RUN-ID/tasks/fetch/clips --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --features runs/aed/RUN-ID/tasks/preprocess/features --inspection runs/aed/RUN-ID/tasks/preprocess/inspection

# accept: 1 cpus, 1 GB; after preprocess
python -m steps.accept --inspection runs/aed/RUN-ID/tasks/preprocess/inspection --accepted runs/aed/RUN-ID/tasks/accept/accepted

# train: 8 cpus, 1 gpus, 32 GB; after preprocess, accept
python -m steps.train --features runs/aed/RUN-ID/tasks/preprocess/features --config runs/aed/RUN-ID/inputs/fd48d76b0e82/user_config.yaml --model runs/aed/RUN-ID/tasks/train/model --metrics runs/aed/RUN-ID/tasks/train/metrics --checkpoints runs/aed/RUN-ID/tasks/train/checkpoints --test-fold 0 --epochs 0

# export: 4 cpus, 8 GB; after preprocess, train
python -m steps.export --features runs/aed/RUN-ID/tasks/preprocess/features --model runs/aed/RUN-ID/tasks/train/model --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --exported runs/aed/RUN-ID/tasks/export/exported

# evaluate: 4 cpus, 8 GB; after preprocess, train, export
python -m steps.evaluate --features runs/aed/RUN-ID/tasks/preprocess/features --model runs/aed/RUN-ID/tasks/train/model --report runs/aed/RUN-ID/tasks/evaluate/report --exported runs/aed/RUN-ID/tasks/export/exported

# champion: 1 cpus, 2 GB
python -m steps.pull --version runs/aed/RUN-ID/tasks/champion/version --model-name aed --optional true

# compare: 4 cpus, 8 GB; after preprocess, fetch, evaluate, train, champion
python -m steps.compare --features runs/aed/RUN-ID/tasks/preprocess/features --clips runs/aed/RUN-ID/tasks/fetch/clips --report runs/aed/RUN-ID/tasks/evaluate/report --model runs/aed/RUN-ID/tasks/train/model --champion runs/aed/RUN-ID/tasks/champion/version --comparison runs/aed/RUN-ID/tasks/compare/comparison

# gate-clip-accuracy: 1 cpus, 0.5 GB; after evaluate
python -m soundgate.programs.gate --report runs/aed/RUN-ID/tasks/evaluate/report --verdict runs/aed/RUN-ID/tasks/gate-clip-accuracy/verdict --metric clip:accuracy --json-path multiclass_classification_metrics.clip_acc.value --threshold 0.85 --bound at_least --file evaluation.json --message 'Execution failed due to clip level acc <' --advisory false --least 0.0 --most 1.0

# gate-patch-accuracy: 1 cpus, 0.5 GB; after evaluate
python -m soundgate.programs.gate --report runs/aed/RUN-ID/tasks/evaluate/report --verdict runs/aed/RUN-ID/tasks/gate-patch-accuracy/verdict --metric patch:accuracy --json-path multiclass_classification_metrics.patch_acc.value --threshold 0.5 --bound at_least --file evaluation.json --message 'Execution failed due to patch level acc <' --advisory false --least 0.0 --most 1.0

# review: 4 cpus, 8 GB; after evaluate, train, export, fetch, compare
python -m steps.review --report runs/aed/RUN-ID/tasks/evaluate/report --model runs/aed/RUN-ID/tasks/train/model --metrics runs/aed/RUN-ID/tasks/train/metrics --clips runs/aed/RUN-ID/tasks/fetch/clips --card runs/aed/RUN-ID/tasks/fetch/card --comparison runs/aed/RUN-ID/tasks/compare/comparison --gates runs/aed/RUN-ID/inputs/050f4c009207/gates.json --judged evaluate/report=runs/aed/RUN-ID/tasks/evaluate/report --review runs/aed/RUN-ID/tasks/review/review --exported runs/aed/RUN-ID/tasks/export/exported --model-name aed

# register: 1 cpus, 2 GB; after train, evaluate, fetch, export, review, compare, gate-clip-accuracy, gate-patch-accuracy
python -m steps.register --model runs/aed/RUN-ID/tasks/train/model --report runs/aed/RUN-ID/tasks/evaluate/report --card runs/aed/RUN-ID/tasks/fetch/card --gates runs/aed/RUN-ID/inputs/050f4c009207/gates.json --judged evaluate/report=runs/aed/RUN-ID/tasks/evaluate/report --entry runs/aed/RUN-ID/tasks/register/entry --model-name aed --exported runs/aed/RUN-ID/tasks/export/exported --review runs/aed/RUN-ID/tasks/review/review --comparison runs/aed/RUN-ID/tasks/compare/comparison --modelzoo-version v1
