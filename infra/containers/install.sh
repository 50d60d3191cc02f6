#!/bin/sh
# What every image of Soundgate holds: Dockerfile.cpu, Dockerfile.gpu and soundgate.def run this in Debian with Python, in
# the folder that has pyproject.toml and constraints.txt.
#
#   install.sh libraries    everything but Soundgate, which changes more often
#   install.sh programs     Soundgate, from the folder it is in
#
# Both compile what they install. A container's user cannot write there, so that every task would compile torch and MLflow
# again: 3 s of its processor's time.
#
# TORCH_INDEX  a package index whose torch is built for CPU: 2 GB less than the one that finds a GPU. Empty: the usual index.
set -eu

libraries() {
  # What download commands of data sets use. Debian keeps one version of each, which a pin would soon ask for in vain; the
  # base image's digest says which release they come from, and the list says which versions an image has.
  apt-get update
  apt-get install --yes --no-install-recommends ca-certificates git unzip wget zip
  dpkg-query --show --showformat='${Package}=${Version}\n' >debian-packages.txt
  rm -rf /var/lib/apt/lists/*

  python -m pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt uv
  if [ -n "${TORCH_INDEX:-}" ]; then
    # Together, and alone: that index has older copies of other packages.
    grep -E '^(torch|torchaudio)==' constraints.txt >torch.txt
    UV_DEFAULT_INDEX="$TORCH_INDEX" uv pip install --system --no-cache --compile-bytecode --no-deps \
      --requirement torch.txt
    rm torch.txt
  fi
  # sagemaker-mlflow: where the tracking address is an ARN, MLflow asks it how to get there.
  uv pip install --system --no-cache --compile-bytecode --build-constraints constraints.txt \
    --constraint constraints.txt sagemaker-mlflow --requirement pyproject.toml --extra audio --extra aws --extra export --extra registry
}

programs() {
  touch README.md # the package's description, of no use in an image
  uv pip install --system --no-cache --compile-bytecode --no-deps --build-constraints constraints.txt --editable .
  # An editable install leaves the sources where they are, so that uv compiles none of them.
  python -m compileall -q pipeline_parameters.py pipelines soundgate steps
}

case "${1:-}" in
libraries) libraries ;;
programs) programs ;;
*)
  echo "install.sh: say libraries or programs" >&2
  exit 2
  ;;
esac
