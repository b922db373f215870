"""The model answers at one position per sequence, packed or alone, and reads only checkpoints it can trust."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM

from swe_rm import batch, model
from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.render import LengthPolicy
from swe_rm.vocabulary import CONTROL, Vocabulary
from tests.conftest import TINY_POLICY

SEQUENCES = [tuple(range(5, 5 + n)) for n in (40, 3, 17, 1, 90)]


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint: Path) -> model.VerdictModel:
    return model.load(tiny_checkpoint)


def eager_twin(folder: Path, sequence: tuple[int, ...], ids: tuple[int, int]) -> list[float]:
    """The slow, obvious way: one sequence, transformers' own eager attention, the whole logits, the last row."""
    network = Qwen3MoeForCausalLM.from_pretrained(folder, attn_implementation="eager", experts_implementation="eager")
    with torch.inference_mode():
        logits = network.eval()(input_ids=torch.tensor([sequence])).logits[0, -1]
    return torch.log_softmax(logits.float(), -1)[list(ids)].tolist()


def test_packed_scores_equal_the_slow_twin(tiny: model.VerdictModel, tiny_checkpoint: Path) -> None:
    (row,) = batch.rows(SEQUENCES, range(len(SEQUENCES)), 1_000)
    for answer, sequence in zip(tiny.logprobs(row), SEQUENCES, strict=True):
        assert answer == pytest.approx(eager_twin(tiny_checkpoint, sequence, tiny.verdict_ids), abs=1e-5)


def test_company_in_a_row_does_not_matter(tiny: model.VerdictModel) -> None:
    (together,) = batch.rows(SEQUENCES, range(len(SEQUENCES)), 1_000)
    alone = [tiny.logprobs(row)[0] for row in batch.rows(SEQUENCES, range(len(SEQUENCES)), 1)]
    for one, other in zip(tiny.logprobs(together), alone, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_naive_concatenation_is_seen_to_differ(tiny: model.VerdictModel) -> None:
    """The guard of the two tests above can fail: without borders the second sequence's answer moves."""
    (row,) = batch.rows(SEQUENCES[:2], [0, 1], 1_000)
    naive = row._replace(ends=[row.ends[-1]], members=(0,), position_ids=list(range(len(row.token_ids))))
    assert abs(tiny.logprobs(naive)[0][0] - tiny.logprobs(row)[1][0]) > 1e-4


def test_a_nan_answer_is_an_error_and_no_score(tiny_checkpoint: Path) -> None:
    broken = model.load(tiny_checkpoint)
    with torch.no_grad():
        broken.network.model.norm.weight.fill_(float("nan"))
    (row,) = batch.rows(SEQUENCES[:1], [0], 100)
    with pytest.raises(VerifierError, match="NaN"):
        broken.logprobs(row)


MEMORY = """
import sys, torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM
from swe_rm import batch, model
torch.set_num_threads(1)
config = Qwen3MoeConfig(vocab_size=151_936, hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
    num_key_value_heads=1, head_dim=16, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16)
network = Qwen3MoeForCausalLM(config).eval()
tested = object.__new__(model.VerdictModel)
tested.network, tested.verdict_ids, tested.card = network, (151_700, 151_701), None
def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) // 1024
def run(length):
    (row,) = batch.rows([tuple(range(length))], [0], length)
    if sys.argv[1] == "full":
        with torch.inference_mode():
            network.lm_head(tested.hidden(row)).float()
    else:
        tested.logprobs(row)
run(16)
before = peak()
run(2048)
print(peak() - before)
"""


def extra_megabytes(way: str) -> int:
    done = subprocess.run([sys.executable, "-c", MEMORY, way], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_full_logits_are_never_made() -> None:
    """2,048 x 151,936 fp32 logits are 1,187 MB; the answer needs one row of them. The second line proves the guard."""
    assert extra_megabytes("last") < 150
    assert extra_megabytes("full") > 1_000


def copy(folder: Path, to: Path) -> Path:
    shutil.copytree(folder, to)
    return to


def edit_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / model.CARD_FILE).read_text())
    (folder / model.CARD_FILE).write_text(json.dumps({**card, **changes}))


def test_a_checkpoint_of_another_template_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    edit_card(folder, template_hash="0123456789abcdef")
    with pytest.raises(CheckpointError, match="made for template 0123456789abcdef"):
        model.load(folder)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (model.CARD_FILE, "not a checkpoint of swe-rm"),
        ("config.json", r"no config\.json"),
        ("tokenizer.json", r"no tokenizer\.json"),
        ("model.safetensors", r"no \.safetensors"),
    ],
)
def test_an_incomplete_checkpoint_is_refused(tiny_checkpoint: Path, tmp_path: Path, missing: str, message: str) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    (folder / missing).unlink()
    with pytest.raises(CheckpointError, match=message):
        model.load(folder)


def test_cut_weights_are_refused_in_one_line(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="the weights cannot be read") as caught:
        model.load(folder)
    assert "\n" not in str(caught.value)


def edit_weights(folder: Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


NORM, GATE = "model.norm.weight", "model.layers.1.mlp.gate.weight"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop(NORM), "the weight model.norm.weight is missing"),
        (lambda tensors: tensors.update({NORM: torch.zeros(5)}), "norm.weight has another shape than config.json says"),
        (lambda tensors: tensors.update({"model.vision": torch.zeros(5)}), "model.vision is not part of a Qwen3-MoE"),
        (lambda tensors: [tensors.pop(name) for name in (NORM, GATE)], r"\(and 1 more\) is missing"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_not_those_of_the_config_are_refused(
    tiny_checkpoint: Path, tmp_path: Path, edit: Callable[[dict[str, torch.Tensor]], None], message: str
) -> None:
    """transformers would fill them in with random numbers and say so in its log."""
    folder = copy(tiny_checkpoint, tmp_path / "c")
    edit_weights(folder, edit)
    with pytest.raises(CheckpointError, match=message) as caught:
        model.load(folder)
    assert "\n" not in str(caught.value)


def test_a_missing_shard_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = {"a.safetensors": sorted(tensors)[:3], "b.safetensors": sorted(tensors)[3:]}
    for shard, names in shards.items():
        save_file({name: tensors[name] for name in names}, folder / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, names in shards.items() for name in names}
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert model.load(folder).verdict_ids
    (folder / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"the shard b\.safetensors is missing \(1 of 2 are\)"):
        model.load(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(CheckpointError, match="not an index of shards"):
        model.load(folder)


def test_the_tokenizer_of_another_model_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """As many pieces, two of them with their ids exchanged: every shape fits, and every score would be wrong."""
    folder = copy(tiny_checkpoint, tmp_path / "c")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    pieces = tokenizer["model"]["vocab"]
    one, other = list(pieces)[-2:]
    pieces[one], pieces[other] = pieces[other], pieces[one]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has digest \w{16}, the weights were made for \w{16}"):
        model.load(folder)


def test_a_sliding_window_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "sliding_window": 64, "use_sliding_window": True}))
    with pytest.raises(CheckpointError, match="sliding window"):
        model.load(folder)


def test_other_trouble_is_named(tiny_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint folder"):
        model.load(tmp_path / "nowhere")
    folder = copy(tiny_checkpoint, tmp_path / "card")
    edit_card(folder, surprise=1)
    with pytest.raises(CheckpointError, match="surprise"):
        model.load(folder)
    folder = copy(tiny_checkpoint, tmp_path / "kind")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(CheckpointError, match="llama"):
        model.load(folder)
    folder = copy(tiny_checkpoint, tmp_path / "few")
    edit_card(folder, vocabulary=None, control={name: 9_000 + i for i, name in enumerate(CONTROL)})
    with pytest.raises(CheckpointError, match="embedding rows"):
        model.load(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"hidden_size": "x"}, "hidden_size"), ({"num_experts_per_tok": 9}, "config.json: 9 of 4 experts a token")],
)
def test_a_config_of_no_qwen3_moe_is_one_line(
    changes: dict[str, object], said: str, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(CheckpointError, match=said) as raised:
        model.load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"heads": 3, "kv_heads": 2}, "3 heads cannot share 2"),
        ({"experts": 2, "experts_per_token": 4}, "4 of 2 experts a token"),
        ({"head_dim": 3}, "head_dim 3 is odd"),
        ({"layers": 0}, "at least 1"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(sizes: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.Shape(**sizes)


class Bomb:
    """Leaves a mark when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.mark),))


def test_pickled_weights_and_code_are_never_run(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "bang")))
    (folder / "modeling_evil.py").write_text(f"import os; os.mkdir({str(tmp_path / 'bang')!r})")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    model.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        model.load(folder)
    assert not (tmp_path / "bang").exists()


def test_saved_and_loaded_it_answers_the_same_and_bf16_nearly(tiny: model.VerdictModel, tmp_path: Path) -> None:
    (row,) = batch.rows(SEQUENCES, range(len(SEQUENCES)), 1_000)
    before = tiny.logprobs(row)
    tiny.save(tmp_path / "same")
    tiny.save(tmp_path / "half", dtype="bfloat16")
    assert model.load(tmp_path / "same").logprobs(row) == before
    assert load_file(tmp_path / "half" / "model.safetensors")["model.norm.weight"].dtype == torch.bfloat16
    for half, full in zip(model.load(tmp_path / "half").logprobs(row), before, strict=True):
        assert half == pytest.approx(full, abs=0.05)


@pytest.mark.parametrize("device_map", ["nonsense", "meta", "cuda:99", {"": "cuda:99"}])
def test_a_device_that_is_not_here_is_one_line(tiny_checkpoint: Path, device_map: str | dict[str, str]) -> None:
    with pytest.raises(VerifierError, match=r"no device '(nonsense|meta|cuda:99)'"):
        model.load(tiny_checkpoint, device_map=device_map)


def test_a_device_map_of_the_cpu_alone_is_the_cpu(tiny_checkpoint: Path) -> None:
    assert model.load(tiny_checkpoint, device_map="cpu").network.dtype == torch.float32
    assert model.load(tiny_checkpoint, device_map={"": "cpu"}).network.dtype == torch.float32


def test_the_name_says_what_the_weights_are_kept_in(tiny: model.VerdictModel, tiny_checkpoint: Path) -> None:
    assert tiny.full_name == tiny.card.full_name
    assert model.load(tiny_checkpoint, dtype="bfloat16").full_name == f"{tiny.full_name}+bfloat16"


@pytest.mark.parametrize("experts", ["auto", "eager", "grouped_mm", "sorted"])
def test_every_experts_implementation_answers_the_same(
    tiny: model.VerdictModel, tiny_checkpoint: Path, experts: str
) -> None:
    (row,) = batch.rows(SEQUENCES, range(len(SEQUENCES)), 1_000)
    other = model.load(tiny_checkpoint, experts=experts, dtype="float32", device="cpu")
    for one, two in zip(tiny.logprobs(row), other.logprobs(row), strict=True):
        assert one == pytest.approx(two, abs=1e-5)


def test_a_pretrained_folder_of_qwen_s_shape_takes_free_rows(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Nothing is resized: control tokens take rows the padded embedding already has, on tied and untied weights."""
    size = vocabulary.tokenizer.get_vocab_size()
    for tied in (False, True):
        folder = tmp_path / str(tied)
        config = Qwen3MoeConfig(
            vocab_size=size + 64, hidden_size=16, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1,
            head_dim=16, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16, tie_word_embeddings=tied,
        )  # fmt: skip
        Qwen3MoeForCausalLM(config).save_pretrained(folder)
        vocabulary.save(folder)
        made = model.prepare(folder, TINY_POLICY, name="warm", dtype="float32")
        rows = made.network.get_input_embeddings().weight
        assert rows.shape[0] == size + 64
        assert max(made.verdict_ids) < size + 64
        (word,) = vocabulary.encode(["yes"])
        assert torch.allclose(rows[made.verdict_ids[0]], rows[word].mean(0))
        with pytest.raises(CheckpointError, match="not a checkpoint of swe-rm"):
            model.load(folder)


def test_a_model_without_free_rows_is_refused(tiny_checkpoint: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    folder = copy(tiny_checkpoint, tmp_path / "c")
    size = vocabulary.tokenizer.get_vocab_size()
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:size].clone()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": size}))
    with pytest.raises(CheckpointError, match="embedding rows"):
        model.prepare(folder, LengthPolicy(max_tokens=256, issue_cap=48, patch_cap=64), name="x")


def test_the_full_size_has_room_for_the_control_tokens() -> None:
    """Qwen3-30B-A3B: 151,643 pieces of text and 26 added tokens under 151,936 rows; sizes of its published config."""
    pieces = {f"w{n}": n for n in range(151_643)}
    added = [
        {"id": 151_643 + n, "content": f"<|added_{n}|>", "special": n < 14, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for n in range(26)
    ]  # fmt: skip
    vocabulary = Vocabulary({"added_tokens": added, "model": {"type": "WordLevel", "vocab": pieces, "unk_token": "w0"}})
    config = Qwen3MoeConfig(
        vocab_size=151_936, hidden_size=2048, intermediate_size=6144, num_hidden_layers=48, num_attention_heads=32,
        num_key_value_heads=4, head_dim=128, num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768,
        norm_topk_prob=True, max_position_embeddings=262_144, tie_word_embeddings=False,
    )  # fmt: skip
    with torch.device("meta"):
        network = Qwen3MoeForCausalLM(config)
    assert sum(p.numel() for p in network.parameters()) == 30_532_122_624
    card = model.new_card(vocabulary, LengthPolicy(), name="full")
    made = model.VerdictModel(network, vocabulary, card)
    assert made.verdict_ids == (151_677, 151_678)
    assert made.crossover == pytest.approx(13_887, abs=15)
    assert vocabulary.rows <= 151_936
