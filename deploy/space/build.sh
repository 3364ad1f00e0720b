#!/usr/bin/env bash
# build.sh FOLDER: copy what a Hugging Face Space needs into the clone of an empty Space with the Docker SDK; then commit
# and push there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
cp -r "$root/keras_actmaps" "$root/pyproject.toml" "$root/LICENSE" "$root/Dockerfile" "$1/"
cp "$here/README.md" "$1/"
find "$1" -name __pycache__ -type d -prune -exec rm -rf {} +
