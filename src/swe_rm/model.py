"""A Qwen3-MoE that answers YES or NO: weights, verdict token ids, and the answer read at one position per sequence."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from swe_rm import attention, batch, decoder, output, weights
from swe_rm import experts as swe_rm_experts
from swe_rm.attention import Backend as Backend
from swe_rm.decoder import Network as Network
from swe_rm.errors import CheckpointError, VerifierError
from swe_rm.experts import Experts as Experts
from swe_rm.render import LengthPolicy, Renderer, template_hash
from swe_rm.trajectory import Noun
from swe_rm.vocabulary import NO, YES, Vocabulary
from swe_rm.weights import DType as DType

if TYPE_CHECKING:
    import torch

CARD_FILE = "swe_rm.json"
HEAD_ROWS = 64
"""Rows that meet the output head at once: 0.6 MB of fp32 logits each with a vocabulary of 151,936."""


class Card(Noun):
    """What stands beside the weights: what they were trained to read and how they answer."""

    format: Literal[1] = 1
    name: str
    version: str
    template_hash: str
    control: dict[str, int]
    """Id of every control token, the two verdict tokens among them."""
    vocabulary: str | None = None
    """Digest of the vocabulary the weights know; None in cards of before it was kept."""
    policy: LengthPolicy
    """The length policy of training, used for scoring unless the caller gives another."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Digest, versions and figures of the run that made the weights."""

    @property
    def full_name(self) -> str:
        """name@version, with the head of the run's digest: two runs of one config name are two verifiers."""
        digest = str(self.training.get("digest", ""))[:8]
        return f"{self.name}@{self.version}.{digest}" if digest else f"{self.name}@{self.version}"


class Shape(Noun):
    """Sizes of a Qwen3-MoE made from scratch."""

    hidden: int = 256
    layers: int = 4
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 32
    experts: int = 8
    experts_per_token: int = 2
    expert_width: int = 192
    tied: bool = True
    """Share the embedding with the output head."""

    @model_validator(mode="after")
    def _fits(self) -> "Shape":
        if min(self.hidden, self.layers, self.heads, self.kv_heads, self.head_dim, self.experts, self.expert_width) < 1:
            raise ValueError("every size is at least 1")
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} heads cannot share {self.kv_heads} heads of keys evenly")
        if self.head_dim % 2:
            raise ValueError(f"head_dim {self.head_dim} is odd: positions turn pairs of numbers")
        if not 0 < self.experts_per_token <= self.experts:
            raise ValueError(f"{self.experts_per_token} of {self.experts} experts a token")
        return self


class VerdictModel:
    """Weights plus vocabulary plus card. One code path from a CPU toy to 30B-A3B."""

    attention: Backend | None = None
    """The attention back end; None for the one that suits the device."""

    def __init__(self, network: Network, vocabulary: Vocabulary, card: Card) -> None:
        """Raises CheckpointError when the network has too few embedding rows for the vocabulary."""
        rows: int = network.get_input_embeddings().weight.shape[0]
        if vocabulary.rows > rows:
            raise CheckpointError(f"the model has {rows} embedding rows, its vocabulary needs {vocabulary.rows}")
        self.network = network
        self.vocabulary = vocabulary
        self.card = card
        self.verdict_ids = (vocabulary.control[YES], vocabulary.control[NO])

    @property
    def device(self) -> "torch.device":
        """Where the input embeddings live: inputs go there, accelerate's hooks move the rest."""
        device: torch.device = self.network.get_input_embeddings().weight.device
        return device

    @property
    def full_name(self) -> str:
        """The card's, with what the weights are kept in where that is not fp32: name@version.digest+bfloat16."""
        dtype = str(self.network.dtype).removeprefix("torch.")
        return self.card.full_name if dtype == "float32" else f"{self.card.full_name}+{dtype}"

    def renderer(self, policy: LengthPolicy | None = None) -> Renderer:
        """The renderer these weights were trained with; `policy` replaces the length policy only."""
        return Renderer(self.vocabulary, policy or self.card.policy)

    def hidden(self, row: batch.Row) -> "torch.Tensor":
        """Final hidden states of a packed row, [tokens, hidden]; sequences do not see each other."""
        states: torch.Tensor = self._forward(row).last_hidden_state[0]
        return states

    def _forward(self, row: batch.Row, **options: Any) -> Any:
        import torch

        attention.use_packed(self.network, self.attention)
        ids = torch.tensor(row.token_ids, device=self.device)[None]
        positions = torch.tensor(row.position_ids, device=self.device)[None]
        return self.network.model(input_ids=ids, position_ids=positions, use_cache=False, spans=row.spans, **options)

    @property
    def crossover(self) -> float:
        """Length at which causal attention costs as much as all matrix products of the layers: 13.9k for 30B-A3B."""
        config = self.network.config
        mixed: int = config.num_attention_heads * config.head_dim
        projections = 2 * config.hidden_size * (mixed + config.num_key_value_heads * config.head_dim)
        expert = 3 * config.hidden_size * config.moe_intermediate_size
        router = config.hidden_size * config.num_experts
        products: int = projections + router + config.num_experts_per_tok * expert
        return products / mixed

    def logprobs(
        self, row: batch.Row, tiles: decoder.Tiles | None = None, kept: decoder.Kept | None = None
    ) -> list[tuple[float, float]]:
        """(log P(YES), log P(NO)) for each sequence of the row, over the full vocabulary, computed in fp32.

        `kept` is as in `decoder.label_states`. Raises VerifierError when the model answers with NaN or infinity: such
        an answer is no score.
        """
        import torch

        attend = attention.attend(self.attention or attention.choose(self.device))
        with torch.inference_mode():
            states = decoder.label_states(self.network, row, attend, tiles or decoder.suited(self.device), kept)
            pairs = torch.cat([self._pairs(part) for part in torch.split(states, HEAD_ROWS)]).cpu()
        if not bool(torch.isfinite(pairs).all()):
            raise VerifierError(f"{self.card.name}: the model answered with NaN or infinite logits")
        return [(min(0.0, yes), min(0.0, no)) for yes, no in pairs.tolist()]

    def turn_logprobs(
        self, log: batch.Tokens, ends: Sequence[int], suffixes: Sequence[batch.Tokens]
    ) -> list[tuple[float, float]]:
        """The answers to log[:end] + suffix, for each end and its suffix, with the log read once.

        Raises ValueError where an end lies outside the log or a suffix is empty, and what `logprobs` raises.
        """
        return self.logprobs(turn_row(log, ends, suffixes))

    def _pairs(self, states: "torch.Tensor") -> "torch.Tensor":
        logits = self.network.lm_head(states).float()
        pairs: torch.Tensor = logits[:, list(self.verdict_ids)] - logits.logsumexp(dim=-1, keepdim=True)
        return pairs

    def save(self, folder: Path, dtype: DType | None = None) -> None:
        """Write safetensors, config, tokenizer and card; weights as `dtype` where given."""
        import torch

        folder.mkdir(parents=True, exist_ok=True)
        state = self.network.state_dict()
        if self.network.config.tie_word_embeddings:
            del state["lm_head.weight"]  # a cast copy would be written a second time
        if dtype is not None:
            state = {name: tensor.to(getattr(torch, dtype)) for name, tensor in state.items()}
        self.network.save_pretrained(folder, state_dict=state)
        self.vocabulary.save(folder)
        write_card(folder, self.card)


def turn_row(log: batch.Tokens, ends: Sequence[int], suffixes: Sequence[batch.Tokens]) -> batch.Row:
    """A log and what follows it after each of its turns, as branches of one row: every token is read once.

    Raises ValueError where an end lies outside the log or a suffix is empty.
    """
    if not all(0 < end <= len(log) for end in ends):
        raise ValueError("a turn ends outside the log")
    if not all(map(len, suffixes)):
        raise ValueError("a suffix is empty")
    own = [
        batch.Part(suffix, ((0, end),), number) for number, (end, suffix) in enumerate(zip(ends, suffixes, strict=True))
    ]
    return batch.lay([batch.Part(log[: max(ends)]), *own])


def write_card(folder: Path, card: Card) -> None:
    """Write the card so that a reader never sees half of it."""
    output.put(folder / CARD_FILE, card.model_dump_json(indent=1) + "\n")


def read_card(folder: Path) -> Card:
    """The card of a checkpoint.

    Raises CheckpointError when the folder or card is missing, is malformed, or was made for another template.
    """
    file = folder / CARD_FILE
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such checkpoint folder")
    if not file.is_file():
        raise CheckpointError(f"{folder}: no {CARD_FILE}: not a checkpoint of swe-rm")
    try:
        card = Card.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise CheckpointError(f"{file}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if card.template_hash != template_hash():
        raise CheckpointError(
            f"{folder}: made for template {card.template_hash}, this version of swe-rm renders {template_hash()}; "
            "its scores would mean nothing"
        )
    return card


def load(
    folder: Path,
    *,
    dtype: DType | None = None,
    device: str | None = None,
    device_map: str | dict[str, Any] | None = None,
    experts: Experts | None = None,
) -> VerdictModel:
    """Load a checkpoint of swe-rm for scoring or further training.

    Raises CheckpointError (see `read_card` and `weights.load_network`; also for another tokenizer than the one of
    training).
    """
    card = read_card(folder)
    vocabulary = Vocabulary.load(folder, card.control)
    if card.vocabulary not in (None, vocabulary.digest()):
        raise CheckpointError(
            f"{folder}: tokenizer.json has digest {vocabulary.digest()}, the weights were made for {card.vocabulary}"
        )
    network = weights.load_network(folder, dtype=dtype, device=device, device_map=device_map, experts=experts)
    return VerdictModel(network, vocabulary, card)


def create(shape: Shape, vocabulary: Vocabulary, policy: LengthPolicy, *, name: str, seed: int) -> VerdictModel:
    """A model of random weights, fp32 on CPU."""
    torch, transformers = weights.libraries()
    config = transformers.Qwen3MoeConfig(
        vocab_size=vocabulary.rows,
        hidden_size=shape.hidden,
        intermediate_size=shape.expert_width * shape.experts_per_token,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        num_experts=shape.experts,
        num_experts_per_tok=shape.experts_per_token,
        moe_intermediate_size=shape.expert_width,
        max_position_embeddings=policy.max_tokens,
        norm_topk_prob=True,
        tie_word_embeddings=shape.tied,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.Qwen3MoeForCausalLM(config)
    swe_rm_experts.use(network, "auto")
    return VerdictModel(network.eval(), vocabulary, new_card(vocabulary, policy, name=name))


def new_card(vocabulary: Vocabulary, policy: LengthPolicy, *, name: str, version: str = "0") -> Card:
    """The card of weights that are to read this version's template."""
    return Card(
        name=name,
        version=version,
        template_hash=template_hash(),
        control=dict(vocabulary.control),
        vocabulary=vocabulary.digest(),
        policy=policy,
    )


def prepare(folder: Path, policy: LengthPolicy, *, name: str, **options: Any) -> VerdictModel:
    """A pretrained Qwen3-MoE folder made ready for training: control tokens take free rows, nothing is resized.

    Each control row starts as the mean of the rows of the word it stands for, not as the noise of a row never used.

    Raises CheckpointError where the model has no free rows left.
    """
    import torch

    network = weights.load_network(folder, **options)
    vocabulary = Vocabulary.load(folder)
    model = VerdictModel(network, vocabulary, new_card(vocabulary, policy, name=name))
    names = list(vocabulary.control)
    words = vocabulary.encode([name.strip("<|>") for name in names])
    matrices = {m.weight for m in (network.get_input_embeddings(), network.get_output_embeddings())}
    with torch.no_grad():
        for name, ids in zip(names, words, strict=True):
            for matrix in matrices:
                matrix[vocabulary.control[name]] = matrix[ids].float().mean(0).to(matrix.dtype)
    return model
