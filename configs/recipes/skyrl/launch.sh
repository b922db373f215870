#!/usr/bin/env bash
# bash configs/recipes/skyrl/launch.sh [megatron] [SETTING=VALUE]...: on the head of a Ray cluster that is up, from a
# folder that all machines share and that holds data/rl. SWE_RM_URL is the verifier's server, SWE_RM_TOKEN its token.
# Paths are whole: Ray's processes begin elsewhere.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
: "${SWE_RM_URL:?the address of swe-rm serve}"
size=megatron
if [[ $# -gt 0 && $1 != *=* ]]; then
  size="$1"
  shift
fi
if [[ ! -f "$here/$size.args" ]]; then
  sizes=("$here"/*.args)
  sizes=("${sizes[@]##*/}")
  echo "$0: no size is called $size: ${sizes[*]%.args}" >&2
  exit 1
fi
runs="$PWD/runs/skyrl"
mapfile -t settings < <(grep -vE '^(#|$)' "$here/$size.args")
exec python -m swe_rm.rollouts.skyrl "${settings[@]}" \
  "data.train_data=['$PWD/data/rl/train.jsonl']" \
  "data.val_data=['$PWD/data/rl/held_out.jsonl']" \
  "generator.rollouts.keep='$runs/attempts'" \
  "trainer.ckpt_path=$runs/checkpoints" \
  "trainer.export_path=$runs/exports" \
  "trainer.log_path=$runs/logs" \
  "$@"
