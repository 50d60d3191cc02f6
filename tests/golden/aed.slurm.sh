#!/bin/sh
# runs/aed/RUN-ID
set -eu

# needs the network: runs here
python -m steps.fetch --config runs/aed/RUN-ID/inputs/20e88e6abf3d/user_config.yaml --clips runs/aed/RUN-ID/tasks/fetch/clips --card runs/aed/RUN-ID/tasks/fetch/card --source 'data/ESC 10' --dataset ESC-10 --store runs/store --download-command ''

# preprocess: cpu
job_preprocess=$(sbatch --parsable --hold <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.preprocess
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/preprocess.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json preprocess
SBATCH
)

# accept: cpu; after preprocess
job_accept=$(sbatch --parsable --dependency="afterany:${job_preprocess}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.accept
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=1024M
#SBATCH --time=6
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/accept.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json accept
SBATCH
)

# train: gpu; after preprocess, accept
job_train=$(sbatch --parsable --dependency="afterany:${job_preprocess},afterany:${job_accept}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.train
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32768M
#SBATCH --time=240
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/train.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --gres=gpu:1
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json train
SBATCH
)

# export: cpu; after preprocess, train
job_export=$(sbatch --parsable --dependency="afterany:${job_preprocess},afterany:${job_train}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.export
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/export.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json export
SBATCH
)

# evaluate: cpu; after preprocess, train, export
job_evaluate=$(sbatch --parsable --dependency="afterany:${job_preprocess},afterany:${job_train},afterany:${job_export}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.evaluate
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/evaluate.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json evaluate
SBATCH
)

# champion: cpu
job_champion=$(sbatch --parsable --hold <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.champion
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2048M
#SBATCH --time=60
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/champion.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json champion
SBATCH
)

# compare: cpu; after preprocess, evaluate, train, champion
job_compare=$(sbatch --parsable --dependency="afterany:${job_preprocess},afterany:${job_evaluate},afterany:${job_train},afterany:${job_champion}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.compare
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/compare.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json compare
SBATCH
)

# gate-clip-accuracy: cpu; gate-clip-accuracy, gate-patch-accuracy in one job: time limits of at most 10 min; after evaluate
job_gate_clip_accuracy=$(sbatch --parsable --dependency="afterany:${job_evaluate}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.gate-clip-accuracy
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=512M
#SBATCH --time=12
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/gate-clip-accuracy.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json gate-clip-accuracy
SBATCH
)

# review: cpu; after evaluate, train, export, compare
job_review=$(sbatch --parsable --dependency="afterany:${job_evaluate},afterany:${job_train},afterany:${job_export},afterany:${job_compare}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.review
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/review.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json review
SBATCH
)

# register: cpu; after train, evaluate, export, review, compare, gate-clip-accuracy
job_register=$(sbatch --parsable --dependency="afterany:${job_train},afterany:${job_evaluate},afterany:${job_export},afterany:${job_review},afterany:${job_compare},afterany:${job_gate_clip_accuracy}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.register
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2048M
#SBATCH --time=60
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/register.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json register
SBATCH
)

scontrol release "$job_preprocess" "$job_champion"
