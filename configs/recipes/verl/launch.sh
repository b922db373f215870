#!/usr/bin/env bash
# bash configs/recipes/verl/launch.sh [megatron|fsdp] [SETTING=VALUE]...: on the head of a Ray cluster that is up, from a
# folder that all machines share and that holds data/rl. SWE_RM_URL is the verifier's server; SWE_RM_TOKEN must be set
# where `ray start` is called. Paths are whole: Ray's processes begin elsewhere.
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
runs="$PWD/runs/verl"
mkdir -p "$runs"
{ cat "$here/agent.yaml"; printf "    keep: '%s'\n" "$runs/attempts"; } > "$runs/agent.yaml"
mapfile -t settings < <(grep -vE '^(#|$)' "$here/$size.args")
exec python -m verl.trainer.main_ppo "${settings[@]}" \
  "data.train_files=$PWD/data/rl/train.jsonl" \
  "data.val_files=$PWD/data/rl/held_out.jsonl" \
  "trainer.default_local_dir=$runs/checkpoints" \
  "trainer.rollout_data_dir=$runs/train" \
  "trainer.validation_data_dir=$runs/held_out" \
  "actor_rollout_ref.rollout.agent.agent_loop_config_path=$runs/agent.yaml" \
  "+reward.custom_reward_function.reward_kwargs.url=$SWE_RM_URL" \
  "$@"
