#!/bin/sh
# runs/aed/RUN-ID
set -eu

# fetch: 4 cpus, 8 GB
python -m steps.fetch --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --clips runs/aed/RUN-ID/tasks/fetch/clips --card runs/aed/RUN-ID/tasks/fetch/card --source 'data/ESC 10' --dataset ESC-10 --store runs/store --download-command ''

# preprocess: 4 cpus, 8 GB; after fetch
python -m steps.preprocess --clips runs/aed/RUN-ID/tasks/fetch/clips --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --features runs/aed/RUN-ID/tasks/preprocess/features --inspection runs/aed/RUN-ID/tasks/preprocess/inspection

# accept: 1 cpus, 1 GB; after preprocess
python -m steps.accept --inspection runs/aed/RUN-ID/tasks/preprocess/inspection --accepted runs/aed/RUN-ID/tasks/accept/accepted

# train-1: 8 cpus, 1 gpus, 32 GB; after preprocess, accept
python -m steps.train --features runs/aed/RUN-ID/tasks/preprocess/features --config runs/aed/RUN-ID/inputs/fd48d76b0e82/user_config.yaml --model runs/aed/RUN-ID/tasks/train-1/model --metrics runs/aed/RUN-ID/tasks/train-1/metrics --checkpoints runs/aed/RUN-ID/tasks/train-1/checkpoints --test-fold 1 --epochs 0

# train-2: 8 cpus, 1 gpus, 32 GB; after preprocess, accept
python -m steps.train --features runs/aed/RUN-ID/tasks/preprocess/features --config runs/aed/RUN-ID/inputs/fd48d76b0e82/user_config.yaml --model runs/aed/RUN-ID/tasks/train-2/model --metrics runs/aed/RUN-ID/tasks/train-2/metrics --checkpoints runs/aed/RUN-ID/tasks/train-2/checkpoints --test-fold 2 --epochs 0

# evaluate-1: 4 cpus, 8 GB; after preprocess, train-1
python -m steps.evaluate --features runs/aed/RUN-ID/tasks/preprocess/features --model runs/aed/RUN-ID/tasks/train-1/model --report runs/aed/RUN-ID/tasks/evaluate-1/report

# evaluate-2: 4 cpus, 8 GB; after preprocess, train-2
python -m steps.evaluate --features runs/aed/RUN-ID/tasks/preprocess/features --model runs/aed/RUN-ID/tasks/train-2/model --report runs/aed/RUN-ID/tasks/evaluate-2/report

# pool: 1 cpus, 2 GB; after evaluate-1, evaluate-2
python -m steps.pool --reports runs/aed/RUN-ID/tasks/evaluate-1/report runs/aed/RUN-ID/tasks/evaluate-2/report --report runs/aed/RUN-ID/tasks/pool/report

# gate-clip-accuracy: 1 cpus, 0.5 GB; after pool
python -m soundgate.programs.gate --report runs/aed/RUN-ID/tasks/pool/report --verdict runs/aed/RUN-ID/tasks/gate-clip-accuracy/verdict --metric clip:accuracy --json-path multiclass_classification_metrics.clip_acc.value --threshold 0.85 --bound at_least --file evaluation.json --message 'Execution failed due to clip level acc <' --advisory false --least 0.0 --most 1.0

# gate-patch-accuracy: 1 cpus, 0.5 GB; after pool
python -m soundgate.programs.gate --report runs/aed/RUN-ID/tasks/pool/report --verdict runs/aed/RUN-ID/tasks/gate-patch-accuracy/verdict --metric patch:accuracy --json-path multiclass_classification_metrics.patch_acc.value --threshold 0.5 --bound at_least --file evaluation.json --message 'Execution failed due to patch level acc <' --advisory false --least 0.0 --most 1.0
