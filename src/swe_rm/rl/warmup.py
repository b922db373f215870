"""Where every arm begins: the policy imitates sessions of the scripted policies at training tasks.

A script runs as it is, and what it does that is an action here is a token. Its other commands are left out, and most of
its looks: their share is configured.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from swe_rm import output
from swe_rm.errors import RecordError
from swe_rm.playground.actions import SUBMIT, Options
from swe_rm.playground.attempts import Observation
from swe_rm.playground.policies import POLICIES
from swe_rm.playground.sandbox import Sandbox
from swe_rm.playground.world import PlaygroundTask
from swe_rm.rl import policy
from swe_rm.rl.config import RLConfig
from swe_rm.rl.field import Field
from swe_rm.rl.wording import CLAIM, Order, Wording
from swe_rm.trajectory import Noun

if TYPE_CHECKING:
    import torch

_CLAIMS = re.compile(
    r"all tests pass|every test passes|verified|suite is (?:green|clean)|issue is (?:solved|completely)", re.I
)
"""Closing words that say more than that it is handed in."""
_LOOKS = ("view", "search")
_OFFERS = "offers.json"
_IGNORED = -100


class Session(Noun):
    """What a script did at a task: answers and what was shown after each."""

    instance_id: str
    policy: str
    answers: tuple[str, ...]
    shown: tuple[str, ...]


def warm(config: RLConfig, tasks: Sequence[PlaygroundTask], field: Field, say: Callable[[str], None] = print) -> Path:
    """The folder of the policy to begin with, made of sessions at the training tasks where it is not there yet.

    What is offered at each of the tasks is kept there too, since drawing the edits takes a tenth of a second a task.

    Raises SweRmError when a task cannot be set up.
    """
    folder = config.warm_folder
    if folder.is_dir():
        field.offer_all((), _read_offers(folder))
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    training = [task for task in tasks if task.split == "train"]
    offers = field.offer_all(tasks, {})
    sessions = played_sessions(config, training, field)
    say(f"warm-up: {len(sessions)} sessions of scripted policies at {len(training)} tasks")
    wording = Wording.fitted((offers[task.instance_id] for task in training), config.network.words)
    network = policy.create(config.network, wording, config.warmup.seed)
    loss = imitate(network, wording, sessions, offers, config)
    say(f"warm-up: {config.warmup.epochs} epochs, the last one's loss {loss:.3f} a token")
    with output.beside(folder) as made:
        policy.save(network, wording, made)
        _write_offers(offers, made)
        with output.lines(made / "sessions.jsonl") as file:
            for session in sessions:
                file.write(output.line(session.model_dump()))
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # another run was quicker
                raise
    return folder


def played_sessions(config: RLConfig, tasks: Sequence[PlaygroundTask], field: Field) -> list[Session]:
    """As many sessions at each task as configured, each by a policy drawn by its share.

    Raises SandboxError where a command could not be run: a model of fewer sessions would stand under the same name.
    """
    names, shares = zip(*sorted(config.warmup.policies.items()), strict=True)
    asked = [(task, number) for task in tasks for number in range(config.warmup.sessions)]

    def one(item: tuple[PlaygroundTask, int], sandbox: Sandbox) -> Session:
        task, number = item
        dice = random.Random(f"{config.warmup.seed}\n{task.instance_id}\n{number}")
        (name,) = dice.choices(names, shares)
        return _session(task, name, dice, config, field, sandbox)

    return field.each(asked, one)


def _session(
    task: PlaygroundTask, name: str, dice: random.Random, config: RLConfig, field: Field, sandbox: Sandbox
) -> Session:
    limit = config.step_limit
    offered = field.offered(task)
    known = {command: answer for answer, command in offered.commands.items()}
    answers: list[str] = []
    shown: list[str] = []
    with field.episode(task, name, sandbox) as made:
        script = POLICIES[name](offered, dice)
        say = next(script)
        while len(answers) < limit:
            answer = known.get(say.command)
            if answer is None or (answer.startswith(_LOOKS) and dice.random() >= config.warmup.looks):
                say = script.send(Observation("", 0))
                continue
            claims = say.command == SUBMIT and _CLAIMS.search(say.words)
            answers.append(CLAIM if claims else answer)
            shown.append(made.step(answer))
            if made.is_over:
                break
            code, _, text = shown[-1].partition("\n")
            say = script.send(Observation(text, int(code.strip("[]"))))
    return Session(instance_id=task.instance_id, policy=name, answers=tuple(answers), shown=tuple(shown))


def imitate(
    network: Any, wording: Wording, sessions: Sequence[Session], offers: dict[str, Options], config: RLConfig
) -> float:
    """Train on what the scripts said, the edits listed in another order each epoch; the last epoch's mean loss."""
    import torch

    plan = config.warmup
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=0.01)
    steps = plan.epochs * -(-len(sessions) // plan.batch)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    total = 0.0
    for epoch in range(plan.epochs):
        losses = []
        for batch in _batches(sessions, plan.batch, f"{plan.seed}\n{epoch}"):
            rows = [_tokens(one, wording, offers[one.instance_id], f"{plan.seed}\n{epoch}") for one in batch]
            inputs, mask, labels = _padded(rows)
            loss = network(input_ids=inputs, attention_mask=mask, labels=labels).loss
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            falling.step()
            losses.append(float(loss.detach()))
        total = sum(losses) / len(losses)
    return total


def _batches(sessions: Sequence[Session], size: int, seed: str) -> Iterator[list[Session]]:
    order = list(sessions)
    random.Random(seed).shuffle(order)
    yield from (order[start : start + size] for start in range(0, len(order), size))


def _tokens(session: Session, wording: Wording, offered: Options, seed: str) -> tuple[list[int], list[int]]:
    """Token ids of a session, and which of them are to be imitated."""
    order = Order.shuffled(offered, f"{seed}\n{session.instance_id}\n{session.policy}")
    tokens = wording.prompt(offered, order)
    own = [0] * len(tokens)
    for answer, shown in zip(session.answers, session.shown, strict=True):
        action = wording.action(answer, offered, order)
        assert action is not None
        seen = wording.observed(answer, shown)
        tokens += [action, *seen]
        own += [1, *([0] * len(seen))]
    return tokens, own


def _padded(rows: Sequence[tuple[list[int], list[int]]]) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Token ids, mask and labels, each [sessions, longest]."""
    import torch

    longest = max(len(tokens) for tokens, _ in rows)
    inputs, mask, labels = [], [], []
    for tokens, own in rows:
        rest = longest - len(tokens)
        inputs.append([*tokens, *([0] * rest)])
        mask.append([1] * len(tokens) + [0] * rest)
        labels.append([*(t if o else _IGNORED for t, o in zip(tokens, own, strict=True)), *([_IGNORED] * rest)])
    return torch.tensor(inputs), torch.tensor(mask), torch.tensor(labels)


def _write_offers(offers: dict[str, Options], folder: Path) -> None:
    content = {name: offered.model_dump(mode="json") for name, offered in offers.items()}
    (folder / _OFFERS).write_bytes(orjson.dumps(content))


def _read_offers(folder: Path) -> dict[str, Options]:
    file = folder / _OFFERS
    try:
        content = dict(orjson.loads(file.read_bytes()))
        return {name: Options.model_validate(offered) for name, offered in content.items()}
    except (OSError, ValueError, TypeError) as error:
        reason = f"{str(error).splitlines()[0]}; delete {folder} to have it made anew"
        raise RecordError(str(file), "", f"is not what offers are written as: {reason}") from None
