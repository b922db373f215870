"""A run learns, repeats itself, resumes exactly, and stops where it must."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

from swe_rm import batch, losses, model, store, train, training_data
from swe_rm.errors import SweRmError
from swe_rm.recipe import HoldOut, TrainConfig
from swe_rm.render import LengthPolicy
from swe_rm.run_folder import IDS_FOLDER, LOG_FILE, STATE_FOLDER
from swe_rm.training_data import TrainingExample
from swe_rm.trajectory import Labelled, Outcome
from tests.training import RUN, config, logged, quiet, records, write


def test_it_learns_what_the_log_says(data: Path, labelled_pool: list[Labelled], tmp_path: Path) -> None:
    folder = train.train(config(data, tmp_path / "run", epochs=30, learning_rate=1e-2, weight_decay=0.0), quiet)
    trained = model.load(folder)
    renderer = trained.renderer()
    sequences = [renderer.prompt(item.trajectory).token_ids for item in labelled_pool]
    right = 0
    for row in batch.rows(sequences, batch.by_length(sequences), 4_096):
        for index, (yes, no) in zip(row.members, trained.logprobs(row), strict=True):
            right += (yes > no) == (labelled_pool[index].outcome is Outcome.RESOLVED)
    assert right >= 22
    seen = logged(folder)
    assert sum(seen[-4:]) < 0.3 * sum(seen[:4])
    assert trained.card.full_name == f"test@1.{trained.card.training['digest'][:8]}"
    assert str(tmp_path) not in trained.card.model_dump_json()


def test_the_same_config_gives_the_same_losses_and_another_seed_does_not(data: Path, tmp_path: Path) -> None:
    runs = [
        config(data, tmp_path / str(i), seed=seed, language_weight=0.5, router_weight=0.01)
        for i, seed in enumerate((1, 1, 2))
    ]
    for run in runs:
        train.train(run, quiet)
    for key in ("verdict", "language", "router"):
        assert logged(tmp_path / "0", key) == logged(tmp_path / "1", key)
        assert logged(tmp_path / "0", key) != logged(tmp_path / "2", key)


def test_a_killed_run_ends_with_the_losses_of_one_that_was_not(data: Path, tmp_path: Path) -> None:
    whole = config(data, tmp_path / "whole", epochs=4, checkpoint_minutes=1e-4)
    train.train(whole, quiet)
    cut = whole.model_copy(update={"out": tmp_path / "cut"})
    file = write(cut, tmp_path / "run.yaml")
    killed = subprocess.Popen([sys.executable, "-W", "ignore", "-c", RUN, str(file)])
    while not (cut.out / STATE_FOLDER / "state.json").is_file() and killed.poll() is None:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (cut.out / model.CARD_FILE).is_file()
    said: list[str] = []
    train.train(cut, said.append)
    assert any("resumed" in line for line in said)
    assert [file.name for file in (cut.out / STATE_FOLDER).iterdir()] == [IDS_FOLDER], "a finished run keeps no state"
    assert logged(cut.out) == pytest.approx(logged(whole.out), abs=1e-6)
    weights = [model.load(folder).network.state_dict() for folder in (whole.out, cut.out)]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-6) for name in weights[0])


def test_a_second_start_renders_nothing_and_damaged_ids_are_never_used(data: Path, tmp_path: Path) -> None:
    whole = config(data, tmp_path / "whole", epochs=2)
    train.train(whole, quiet)
    cut = whole.model_copy(update={"out": tmp_path / "cut"})
    labelled = training_data.read_labelled(cut, quiet)
    renderer = train.initial_model(cut, labelled).renderer()
    ids = cut.out / STATE_FOLDER / IDS_FOLDER
    examples = training_data.render_examples(cut, labelled, renderer, quiet, ids)
    in_memory = training_data.render_examples(cut, labelled, renderer, quiet)
    assert train.run_digest(cut, examples) == train.run_digest(cut, in_memory)
    file = ids / "ids.i32"
    file.write_bytes(file.read_bytes()[:-4] + b"\1\0\0\0")
    said: list[str] = []
    train.train(cut, said.append)
    assert any(line.endswith("damaged (ids.i32 is not what was written); rendered anew") for line in said)
    assert logged(cut.out) == logged(whole.out)
    train.train(cut, said.append)
    assert said[-2:] == [f"{ids}: rendered before, used again", said[-1]]


def test_a_run_with_best_fit_rows_repeats_itself(data: Path, tmp_path: Path) -> None:
    for folder in ("0", "1"):
        train.train(config(data, tmp_path / folder, packing="best_fit"), quiet)
    assert logged(tmp_path / "0") == logged(tmp_path / "1")


def test_resume_refuses_another_config_and_names_the_keys(data: Path, tmp_path: Path) -> None:
    first = config(data, tmp_path / "run", checkpoint_minutes=1e-4)
    train.train(first, quiet)
    ids = first.out / STATE_FOLDER / IDS_FOLDER / "ids.i32"
    written = ids.stat().st_mtime_ns
    with pytest.raises(SweRmError, match=r"another config \(differs in learning_rate, policy, seed\)"):
        train.train(first.model_copy(update={"seed": 9, "learning_rate": 1.0, "policy": LengthPolicy()}), quiet)
    assert ids.stat().st_mtime_ns == written


def test_a_finished_run_is_not_run_again_and_never_overwritten(
    data: Path, labelled_pool: list[Labelled], tmp_path: Path
) -> None:
    run = config(data, tmp_path / "run")
    train.train(run, quiet)
    weights = (run.out / "model.safetensors").read_bytes()
    said: list[str] = []
    train.train(run, said.append)
    assert "holds the finished run" in said[-1]
    with pytest.raises(SweRmError, match=r"differs in seed\); give another out"):
        train.train(run.model_copy(update={"seed": 5}), quiet)
    other = tmp_path / "elsewhere" / data.name
    other.parent.mkdir()
    store.write(labelled_pool[:20], other)
    with pytest.raises(SweRmError, match="this config on other data"):
        train.train(run.model_copy(update={"data": (other,)}), quiet)
    assert (run.out / "model.safetensors").read_bytes() == weights


def test_a_loss_that_is_not_finite_stops_the_run(data: Path, tmp_path: Path) -> None:
    run = config(data, tmp_path / "run")
    labelled = training_data.read_labelled(run, quiet)
    broken = train.initial_model(run, labelled)
    with torch.no_grad():
        broken.network.model.norm.weight.fill_(float("nan"))
    examples = training_data.render_examples(run, labelled, broken.renderer())
    with pytest.raises(SweRmError, match=r"loss of step 1 is not finite.*its batch is in ") as caught:
        train.fit(run, broken, examples, quiet)
    batch_file = Path(str(caught.value).rpartition(" in ")[2])
    saved = load_file(batch_file)
    chosen = [examples[index] for index in saved["examples"].tolist()]
    assert saved["token_ids"].tolist() == [token for example in chosen for token in example.token_ids]
    assert saved["weights"].tolist() == [example.weight for example in chosen]
    assert not (run.out / model.CARD_FILE).is_file()


def test_the_packed_loss_equals_the_slow_twin(data: Path, tmp_path: Path) -> None:
    """Each example alone, the whole logits, cross-entropy at the last prompt token, weighted mean by hand."""
    run = config(data, tmp_path / "run")
    labelled = training_data.read_labelled(run, quiet)
    made = train.initial_model(run, labelled)
    examples = training_data.render_examples(run, labelled, made.renderer())
    expected = total = 0.0
    for example in examples:
        (row,) = batch.rows([example.token_ids], [0], 10_000)
        with torch.no_grad():
            logits = made.network.lm_head(made.hidden(row))[-1].float()
        expected -= example.weight * torch.log_softmax(logits, -1)[example.verdict_id].item()
        total += example.weight
    one_step = run.model_copy(update={"tokens_per_row": 10_000, "tokens_per_step": 100_000})
    train.fit(one_step, made, examples, quiet)
    assert logged(run.out)[0] == pytest.approx(expected / total, abs=1e-5)


def test_language_loss_never_crosses_sequences(data: Path, tmp_path: Path) -> None:
    (row,) = batch.rows([(1, 2, 3), (4, 5), (6,)], range(3), 100)
    found = losses.language_positions(row, 1.0, seed=3)
    assert sorted(found.tolist()) == [0, 1, 3]
    run = config(data, tmp_path / "warm", objective="language", balance="none", epochs=6)
    train.train(run, quiet)
    seen = logged(run.out, "language")
    assert seen[-1] < seen[0] - 0.5
    assert set(logged(run.out)) == {0.0}


def test_a_run_can_start_from_a_checkpoint_and_from_bf16(data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    run = config(data, tmp_path / "run", base=tiny_checkpoint, precision="bfloat16")
    folder = train.train(run, quiet)
    assert model.read_card(folder).name == "test"
    assert model.load(folder).network.dtype == torch.float32
    twin = train.train(run.model_copy(update={"out": tmp_path / "twin", "precision": "float32"}), quiet)
    for key in ("verdict", "gradient_norm"):
        assert logged(folder, key) != logged(twin, key)
        assert logged(folder, key) == pytest.approx(logged(twin, key), rel=1e-2)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("- a", [], "mapping"),
        ("name: [", [], "c.yaml"),
        ("name: x\nout: o\ndata: [d]\nspeed: 3", [], "speed"),
        ("name: x\nout: o\ndata: []", [], "data"),
        ("name: x\nout: o\ndata: [d]", ["policy.max_tokens=1"], r"policy\.max_tokens"),
        ("name: x\nout: o\ndata: [d]", ["seed"], "key=value"),
        ("name: x\nout: o\ndata: [d]", ["seed=["], "--set seed"),
        ("name: x\nout: o\ndata: [d]", ["name.first=3"], "not a group"),
        ("name: x\nout: o\ndata: [d]", ["hold_out={fold: 5, folds: 5}"], "below folds"),
        ("name: x\nout: o\ndata: [d]", ["stop.patience=2"], "stop needs dev"),
        ("name: x\nout: o\ndata: [d]", ["freeze_router=true", "router_weight=0.1"], "exclude each other"),
        ("name: x\nout: o\ndata: [d]", ["lora={rank: 2}", "router_weight=0.1"], "lora and router_weight exclude each"),
        ("name: x\nout: o\ndata: [d]", ["objective=language", "dev=[a]"], "uses no labels"),
    ],
)
def test_bad_configs_are_one_line(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(SweRmError, match=message) as caught:
        TrainConfig.load(file, overrides)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(SweRmError, match=r"c\.yaml"):
        TrainConfig.load(tmp_path / "c.yaml")


def test_overrides_reach_into_groups_and_the_digest_ignores_where(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("name: x\nout: o\ndata: [d]")
    loaded = TrainConfig.load(
        file,
        [
            "policy.max_tokens=512",
            "policy.issue_cap=64",
            "policy.patch_cap=64",
            "epochs=3",
            "hold_out={fold: 1, folds: 5}",
        ],
    )
    assert (loaded.policy.max_tokens, loaded.epochs, loaded.hold_out) == (512, 3.0, HoldOut(fold=1, folds=5))
    assert loaded.digest() == loaded.model_copy(update={"out": Path("elsewhere")}).digest()
    assert loaded.digest() != loaded.model_copy(update={"seed": 1}).digest()


def test_the_configs_of_the_repository_load() -> None:
    for file in sorted((Path(__file__).parents[1] / "configs").glob("*.yaml")):
        assert TrainConfig.load(file).name


def test_the_launch_files_of_the_repository_are_read_by_accelerate() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    found = {}
    for file in (Path(__file__).parents[1] / "configs" / "launch").glob("*.yaml"):
        launch = load_config_from_file(str(file))
        found[file.stem] = (launch.num_processes, launch.fsdp_config.get("fsdp_version"))
    assert found == {"one_gpu": (1, None), "fsdp2_8_gpus": (8, 2), "fsdp2_sequence_8_gpus": (8, 2)}


def test_an_example_of_weight_zero_costs_nothing(data: Path, tmp_path: Path) -> None:
    run = config(data, tmp_path / "run", tokens_per_step=100_000, tokens_per_row=50_000)
    labelled = training_data.read_labelled(run, quiet)
    made = train.initial_model(run, labelled)
    examples = training_data.render_examples(run, labelled, made.renderer())
    silent = TrainingExample(examples[0].token_ids, examples[0].verdict_id, 0.0)
    for folder, chosen in (("with", [*examples, silent]), ("without", examples)):
        made = train.initial_model(run, labelled)
        train.fit(run.model_copy(update={"out": tmp_path / folder}), made, chosen, quiet)
    assert logged(tmp_path / "with") == pytest.approx(logged(tmp_path / "without"), abs=1e-5)


def test_long_stages_say_how_far_they_are(
    data: Path, tmp_path: Path, labelled_pool: list[Labelled], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    list(training_data.told(labelled_pool, "read", said.append))
    assert said == []
    monkeypatch.setattr(training_data, "FIRST_SECONDS", -1.0)
    train.train(config(data, tmp_path / "run"), said.append)
    assert {"read 0 attempts", "rendered 0 attempts"} <= set(said)
    assert any(line.startswith("test: step 1/") for line in said)


def test_the_card_says_where_the_weights_come_from(data: Path, tmp_path: Path, labelled_pool: list[Labelled]) -> None:
    part = tmp_path / "mix" / "train"
    part.parent.mkdir()
    store.write(labelled_pool, part)
    (part.parent / "mix.json").write_text('{"name": "lamps"}')
    run = config(part, tmp_path / "run")
    made = model.load(train.train(run, quiet))
    training = made.card.training
    yes, no = made.verdict_ids
    assert training["config_digest"] == run.digest()
    assert (training["template_hash"], training["verdict_ids"]) == (made.card.template_hash, {"yes": yes, "no": no})
    assert training["mix_digests"] == [hashlib.sha256(b'{"name": "lamps"}').hexdigest()[:16]]
    assert set(training["versions"]) == {"swe-rm", "torch", "transformers", "accelerate"}
    lines = (run.out / LOG_FILE).read_text().splitlines()
    fields = ["step", "tokens", "verdict", "language", "router", "pairwise", "gradient_norm", "rate", "seconds"]
    assert all(list(json.loads(line)) == fields for line in lines)
    assert not list(run.out.rglob("*.bin"))


def test_checkpointing_changes_memory_alone(data: Path, tmp_path: Path) -> None:
    for name, changes in {"plain": {}, "checkpointed": {"gradient_checkpointing": True}}.items():
        train.train(config(data, tmp_path / name, router_weight=0.01, **changes), quiet)
    for key in ("verdict", "router", "gradient_norm"):
        assert logged(tmp_path / "plain", key) == pytest.approx(logged(tmp_path / "checkpointed", key), abs=1e-6)


def test_pairs_draw_margins_apart(data: Path, tmp_path: Path) -> None:
    run = config(data, tmp_path / "run", epochs=12, pairwise_weight=1.0, head="pair", learning_rate=1e-2)
    train.train(run, quiet)
    seen = logged(run.out, "pairwise")
    assert sum(seen[-4:]) < 0.5 * sum(seen[:4])


def test_a_frozen_router_stays_and_adapters_are_merged(data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    frozen = config(data, tmp_path / "frozen", base=tiny_checkpoint, freeze_router=True)
    adapted = config(data, tmp_path / "adapted", base=tiny_checkpoint, lora={"rank": 4, "experts": True})
    before = model.load(tiny_checkpoint).network.state_dict()
    for run, kept in ((frozen, "mlp.gate"), (adapted, "norm.weight")):
        after = model.load(train.train(run, quiet)).network.state_dict()
        assert after.keys() == before.keys()
        same = {name for name in before if torch.equal(before[name], after[name])}
        assert {name for name in before if kept in name} <= same
        assert not any("experts" in name or "q_proj" in name for name in same)


def test_a_killed_adapter_run_in_bf16_resumes_exactly(data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    settings: dict[str, object] = {"base": tiny_checkpoint, "precision": "bfloat16", "checkpoint_minutes": 1e-4}
    for name, lora in {"full": None, "lora": {"rank": 2}}.items():
        whole = config(data, tmp_path / name, **settings, lora=lora)
        train.train(whole, quiet)
        cut = whole.model_copy(update={"out": tmp_path / f"{name}-cut"})
        stop_after(cut, 3)
        train.train(cut, quiet)
        assert logged(cut.out) == logged(whole.out)


def stop_after(run: TrainConfig, steps: int) -> None:
    """Cut a run short where it says it is that far."""

    def say(line: str) -> None:
        if line.startswith(f"{run.name}: step {steps}/"):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_data, "FIRST_SECONDS", -1.0)
        patch.setattr(training_data, "NEXT_SECONDS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            train.train(run, say)


def test_another_base_of_the_same_name_is_another_run(data: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    bases = [tmp_path / name / "base" for name in ("one", "two")]
    for base in bases:
        shutil.copytree(tiny_checkpoint, base)
    first, second = (config(data, tmp_path / "run", base=base) for base in bases)
    assert train.run_digest(first, []) == train.run_digest(second, [])
    made = model.load(bases[1], dtype="float32")
    with torch.no_grad():
        made.network.model.layers[1].mlp.gate.weight.add_(0.1)
    made.save(bases[1])
    assert first.digest() == second.digest()
    assert train.run_digest(first, []) != train.run_digest(second, [])


def test_the_best_look_at_dev_is_kept_and_patience_ends_the_run(data: Path, dev: Path, tmp_path: Path) -> None:
    stop = {"metric": "ece", "every": 1, "patience": 2}
    run = config(data, tmp_path / "run", dev=(dev,), stop=stop, epochs=40, learning_rate=2e-2, head="pair")
    folder = train.train(run, quiet)
    seen = logged(folder, "dev_ece")
    best = seen.index(min(seen))
    assert len(seen) == best + 3
    assert model.read_card(folder).training["best_step"] == best + 1
    shorter = run.model_copy(update={"out": tmp_path / "cut", "checkpoint_minutes": 1e-4})
    stop_after(shorter, 2)
    train.train(shorter, quiet)
    assert logged(shorter.out, "dev_ece") == seen
    scored = [model.load(place).network.state_dict() for place in (folder, shorter.out)]
    assert all(torch.equal(scored[0][name], scored[1][name]) for name in scored[0])
    with pytest.raises(SweRmError, match="at 6 tasks of the evaluation list"):
        train.train(run.model_copy(update={"dev": (data,), "out": tmp_path / "other"}), quiet)


def test_a_run_killed_after_its_last_look_trains_no_more(data: Path, dev: Path, tmp_path: Path) -> None:
    stop = {"metric": "ece", "every": 1, "patience": 1}
    settings: dict[str, object] = {"dev": (dev,), "stop": stop, "epochs": 40, "learning_rate": 2e-2, "head": "pair"}
    run = config(data, tmp_path / "run", checkpoint_minutes=1e-6, **settings)
    (run.out / "config.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"config\.json"):
        train.train(run, quiet)
    ended = records(run.out)
    (run.out / "config.json").rmdir()
    train.train(run, quiet)
    assert records(run.out) == ended
    whole = train.train(run.model_copy(update={"out": tmp_path / "whole"}), quiet)
    weights = [model.load(place).network.state_dict() for place in (run.out, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_reporter_that_is_not_installed_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SweRmError, match="report_to: wandb is not installed: pip install wandb"):
        train.train(config(data, tmp_path / "run", report_to=("wandb",)), quiet)
    assert not (tmp_path / "run").exists()


def test_cut_logs_are_trained_on_under_the_whole_outcome(data: Path, tmp_path: Path) -> None:
    whole, cut = config(data, tmp_path / "whole"), config(data, tmp_path / "cut", prefix_rate=1.0)
    labelled = training_data.read_labelled(whole, quiet)
    renderer = train.initial_model(whole, labelled).renderer()
    found = [training_data.render_examples(run, labelled, renderer, quiet) for run in (whole, cut)]
    for full, part in zip(*found, strict=True):
        assert part[1:] == (*full[1:3], "", full.policy)
        assert full.task, "only a whole log is paired"
        assert list(part.token_ids) != list(full.token_ids)
    assert train.run_digest(whole, found[0]) != train.run_digest(cut, found[1])


def test_training_is_imported_light() -> None:
    code = (
        "import sys; import swe_rm.train, swe_rm.trainer; print({'torch', 'transformers', 'peft'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
