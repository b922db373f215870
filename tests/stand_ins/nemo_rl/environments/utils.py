"""NeMo-RL of 2026-08-22: nemo_rl/environments/utils.py:135."""

ENV_REGISTRY: dict[str, dict[str, str]] = {}


def register_env(env_name: str, actor_class_fqn: str) -> None:
    ENV_REGISTRY[env_name] = {"actor_class_fqn": actor_class_fqn}
