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

# train: 2 elements, gpu; after preprocess, accept
job_train=$(sbatch --parsable --dependency="afterany:${job_preprocess},afterany:${job_accept}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.train
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --array=0-1%16
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32768M
#SBATCH --time=240
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/train.%A_%a.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --gres=gpu:1
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json train "$SLURM_ARRAY_TASK_ID"
SBATCH
)

# evaluate: 2 elements, cpu; after preprocess, train (element-wise)
job_evaluate=$(sbatch --parsable --dependency="afterany:${job_preprocess},aftercorr:${job_train}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.evaluate
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --array=0-1%16
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8192M
#SBATCH --time=120
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/evaluate.%A_%a.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json evaluate "$SLURM_ARRAY_TASK_ID"
SBATCH
)

# pool: cpu; after evaluate
job_pool=$(sbatch --parsable --dependency="afterany:${job_evaluate}" <<'SBATCH'
#!/bin/bash
#SBATCH --job-name=aed.pool
#SBATCH --comment=soundgate:RUN-ID
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2048M
#SBATCH --time=60
#SBATCH --signal=B:USR1@180
#SBATCH --output=/CHECKOUT/runs/aed/RUN-ID/slurm/pool.%j.log
#SBATCH --open-mode=append
#SBATCH --export=ALL
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --requeue
export SLURM_EXPORT_ENV=ALL
cd /CHECKOUT
exec PYTHON -m soundgate.executors.slurm.node.worker /CHECKOUT/runs/aed/RUN-ID/slurm/job_description.json pool
SBATCH
)

# gate-clip-accuracy: cpu; gate-clip-accuracy, gate-patch-accuracy in one job: time limits of at most 10 min; after pool
job_gate_clip_accuracy=$(sbatch --parsable --dependency="afterany:${job_pool}" <<'SBATCH'
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

scontrol release "$job_preprocess"
