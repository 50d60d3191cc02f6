#!/usr/bin/env bash
# Build an image of this checkout and push it, unless the repository has it; print its address by digest.
#
#   infra/containers/publish.sh cpu|gpu
#
# ECR_REPOSITORY_URI  where to
# RUN_AS              whom it runs as; root where empty, because SageMaker's jobs may write below /opt/ml as root only
# TORCH_INDEX         see install.sh; of cpu alone
#
# The tag is a digest of everything that the image is made from: a commit that touches none of it makes no new image, and
# then no job is run again because of it, since the image is part of what SageMaker's cache asks for.
set -euo pipefail
export LC_ALL=C
kind="${1:?say cpu or gpu}"
: "${ECR_REPOSITORY_URI:?not set: the repository that images are pushed to}"
cd "$(dirname "$0")/../.."
dockerfile="infra/containers/Dockerfile.$kind"
test -f "$dockerfile" || { echo "publish.sh: no image is called $kind: say cpu or gpu" >&2; exit 2; }
options=(--build-arg "RUN_AS=${RUN_AS:-root}")
if [ "$kind" = cpu ] && [ -n "${TORCH_INDEX:-}" ]; then options+=(--build-arg "TORCH_INDEX=$TORCH_INDEX"); fi

parts=("$dockerfile" .dockerignore infra/containers/install.sh constraints.txt pyproject.toml pipeline_parameters.py pipelines
  soundgate steps)
digest="$({
  printf '%s\n' "${options[@]}"
  find "${parts[@]}" -type f -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum
} | sha256sum | cut -c 1-32)"
image="$ECR_REPOSITORY_URI:$kind-$digest"

# Prints None where there is no such tag, and fails where the repository cannot be asked.
pushed() {
  aws ecr batch-get-image --repository-name "${ECR_REPOSITORY_URI#*/}" --image-ids "imageTag=${image##*:}" \
    --query 'images[0].imageId.imageDigest' --output text
}

found="$(pushed)"
if [ "$found" = None ]; then
  aws ecr get-login-password | docker login --username AWS --password-stdin "${ECR_REPOSITORY_URI%%/*}" >&2
  docker build --file "$dockerfile" "${options[@]}" --tag "$image" . >&2
  docker push "$image" >&2
  found="$(pushed)"
fi
echo "$ECR_REPOSITORY_URI@$found"
