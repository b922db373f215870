"""Verifier files as users write them: what cannot be used is one line, and what they name is found."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from swe_rm import export
from swe_rm.__main__ import main
from swe_rm.errors import CheckpointError, SweRmError, VerifierError
from swe_rm.trajectory import Labelled
from swe_rm.verifiers import absolute_spec, load_verifier
from swe_rm.verifiers.foreign.file import read_file
from swe_rm.verifiers.foreign.tokens import Tokens
from swe_rm.verifiers.remote.stand_in import StandIn
from tests.foreign.foreign_weights import causal
from tests.foreign.verifier_files import CONFIGS, HERE, JUDGED, POOL, Folder, say


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_that_we_show_is_one_and_brings_nothing_of_others(path: Path) -> None:
    file = read_file(path)
    assert path.stem.startswith(file.name)
    for name, source in file.bring.items():
        assert not (path.parent / name).exists(), f"{name} is somebody else's"
        assert source


@pytest.mark.parametrize("name", [*JUDGED, "llm-as-a-verifier"])
def test_what_a_user_is_to_bring_is_said_with_where_to_get_it(name: str, folder: Folder) -> None:
    engine = {"kind": "judge", "url": "http://127.0.0.1:1", "model": "m"} if name == "llm-as-a-verifier" else HERE
    missing = next(iter(read_file(CONFIGS / f"{name}.yaml").bring))
    (folder.path / missing).unlink()
    with pytest.raises(VerifierError, match=f"{missing} is not there \\("):
        folder.load(name, engine)


SMALL = {
    "name": "x",
    "version": "1",
    "engine": {"kind": "judge", "url": "http://127.0.0.1:1", "model": "m"},
    "messages": "attempt",
    "answer": {"yes": ["YES"], "no": ["NO"]},
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"colour": "red"}, "colour: Extra inputs"),
        ({"name": "a b"}, "name: String should match"),
        ({"name": "\u0441\u0443\u0434\u044c\u044f"}, "name: String should match"),
        ({"version": "1\u00e9"}, "version: String should match"),
        ({"answer": {"yes": ["YES", "YES"], "no": ["NO"]}}, "nor one twice"),
        ({"engine": {"kind": "judge"}}, "judge needs a url"),
        ({"engine": {"kind": "transformers", "url": "http://x"}}, "runs in this process and has no url"),
        ({"engine": {"kind": "transformers"}}, "transformers needs weights"),
        ({"engine": {"kind": "sglang", "url": "http://x", "route": "chat"}}, "sglang has no route chat"),
        ({"engine": {"kind": "vllm", "url": "http://x"}}, "asked with token ids: tokenizer names a folder"),
        ({"answer": {"yes": ["YES"]}}, "yes and no are given together"),
        ({"answer": {"yes": ["YES"], "no": ["YES"]}}, "no spelling in common"),
        ({"answer": {}}, "an answer is one of"),
        ({"answer": {"yes": ["Y"], "no": ["N"], "scale": {"A": 1}}}, "an answer is one of"),
        ({"answer": {"yes": [True], "no": ["NO"]}}, "YAML reads YES and NO as true and false"),
        ({"answer": {"scale": {"A": 2}}}, "lie between 0 and 1"),
        ({"answer": {"label": {"index": 3, "count": 3}}}, "label 3 of 3, counted from 0"),
        ({"answer": {"label": {"count": 1, "activation": "softmax"}}}, "softmax over one label is always 1"),
        ({"answer": {"label": {}}}, "a label is read by route classify"),
        ({"answer": {"predicate": "It is so."}}, "a predicate is for kind decisions"),
        ({"answer": {"yes": ["Y"], "no": ["N"], "prefill": "a", "after": "b"}}, "exclude each other"),
        ({"answer": {"yes": ["Y"], "no": ["N"], "prefill": "a"}}, "a chat server begins its replies itself"),
        ({"pairs": "ring"}, "pairs are judged by kind judge, on a scale"),
        ({"answer": None}, "messages and answer are needed"),
        ({"checkpoint": "weights"}, "know what they read and answer"),
        ({"length": {"rule": "left"}}, r"length\.rule: Input should be"),
    ],
)
def test_a_file_that_cannot_be_is_one_line(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **changes}))
    with pytest.raises(SweRmError, match=reason) as caught:
        load_verifier(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_bare_yes_and_no_of_yaml_are_keys_and_no_spellings(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    text = yaml.safe_dump({**SMALL, "answer": "PLACE"})
    path.write_text(text.replace("answer: PLACE", 'answer: {yes: ["YES"], no: ["NO"]}'))
    assert read_file(path).answer.yes == ("YES",)  # type: ignore[union-attr]
    path.write_text(text.replace("answer: PLACE", "answer: {yes: [YES], no: [NO]}"))
    with pytest.raises(SweRmError, match="put spellings in quotes"):
        read_file(path)


def test_another_word_in_a_template_is_another_verifier(folder: Folder) -> None:
    before = folder.load("swe-lego", HERE).name
    (folder.path / "judge-question.txt").write_text("Well?\n")
    assert folder.load("swe-lego", HERE).name != before


def test_a_file_that_a_template_includes_counts_as_its_own_words(folder: Folder) -> None:
    path = folder.file("swe-lego", HERE)
    template = folder.path / yaml.safe_load(path.read_text())["messages"][-1]["file"]
    (folder.path / "more.txt").write_text("Well?")
    template.write_text(template.read_text() + "{% include 'more.txt' %}")
    before = load_verifier(str(path)).name
    (folder.path / "more.txt").write_text("Well then?")
    assert load_verifier(str(path)).name != before
    template.write_text("{% set name = 'more.txt' %}{% include name %}")
    with pytest.raises(VerifierError, match="includes a file by a name that is no text in quotes"):
        load_verifier(str(path))


def test_another_model_is_another_verifier_and_another_address_is_not(folder: Folder, tmp_path: Path) -> None:
    here = folder.load("swe-lego", HERE).name
    assert folder.load("swe-lego", HERE).name == here
    folder.weights = causal(Path(shutil.copytree(folder.weights, tmp_path / "others")), seed=2)
    assert folder.load("swe-lego", HERE).name != here
    at = {"kind": "openai", "model": "one", "url": "http://127.0.0.1:1"}
    there = folder.load("judge", at).name
    assert folder.load("judge", {**at, "url": "http://127.0.0.1:2", "at_once": 3}).name == there
    for change in ({"model": "two"}, {"temperature": 0.5}, {"max_tokens": 9}, {"extra": {"top_p": 0.5}}):
        assert folder.load("judge", {**at, **change}).name != there, change


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for x in %}", "Expected an expression"),
        ("{{ nothing.here }}", "'nothing' is undefined"),
        ("{{ log.__class__.__mro__ }}", "unsafe"),
        ("{% include '../secret' %}", "is not there"),
    ],
)
def test_a_template_that_cannot_be_filled_is_an_error(template: str, reason: str, folder: Folder) -> None:
    (folder.path / "judge.jinja").write_text(template)
    with pytest.raises(VerifierError, match=reason):
        folder.load("judge", {"url": "http://127.0.0.1:1", "model": "m"})(POOL[:1])


def test_a_missing_file_and_a_missing_key_are_one_line(tmp_path: Path, folder: Folder) -> None:
    with pytest.raises(SweRmError, match="No such file"):
        load_verifier(str(tmp_path / "none.yaml"))
    with pytest.raises(VerifierError, match="environment variable NO_SUCH_KEY, which is not set"):
        folder.load("judge", {"url": "http://127.0.0.1:1", "key": "NO_SUCH_KEY"})


def test_what_is_asked_of_weights_here_is_refused_for_weights_on_a_server(folder: Folder) -> None:
    for spec in (str(folder.file("judge", {"url": "http://127.0.0.1:1"})), "http://127.0.0.1:1"):
        with pytest.raises(VerifierError, match="dtype is for weights in this process"):
            load_verifier(spec, options={"dtype": "bfloat16"})


def test_a_key_goes_with_each_request(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMP_KEY", "secret-of-lamps")
    with StandIn("openai", reply=lambda body: say("YES"), token="secret-of-lamps") as server:
        (verdict,) = folder.load("judge", {"url": server.url, "key": "LAMP_KEY"})(POOL[:1])
        assert verdict.score == 1.0
        with pytest.raises(VerifierError, match="401"):
            folder.load("judge", {"url": server.url})


def test_a_file_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_spec("x.yaml") == str(tmp_path / "x.yaml")
    assert absolute_spec("http://h:1") == "http://h:1"


def test_score_says_what_was_asked_for_and_a_row_has_its_bounds(
    folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export.write([Labelled(trajectory=POOL[0])], tmp_path / "pool.jsonl")
    answer = {"yes": ["YES"], "no": ["NO"], "missing": "bound"}
    with StandIn("openai", reply=lambda body: say("YES" if body["seed"] else "hm")) as server:
        spec = str(folder.file("judge", {"url": server.url, "repeats": 40}, answer=answer))
        out = tmp_path / "verdicts.jsonl"
        assert main(["score", str(tmp_path / "pool.jsonl"), "--out", str(out), "--verifier", spec]) == 0
    told = capsys.readouterr().err
    assert re.search(r"asked for: 1 answers, \d+ tokens read \(0 from a cache\), 40 written", told)
    row = json.loads(out.read_text())
    assert row["bounds"] == [pytest.approx(39 / 40), 1.0]
    (verdict,) = load_verifier(f"recorded:{out}")(POOL[:1])
    assert verdict.bounds == (pytest.approx(39 / 40), 1.0)


def test_a_chat_template_stands_in_one_of_four_places(tmp_path: Path, weights: Path) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    shutil.copy(weights / "tokenizer.json", folder)
    messages = [{"role": "user", "content": "hum"}]
    with pytest.raises(VerifierError, match="has no chat template; chat_template names one"):
        Tokens(folder).chat(messages, reply=True, prefill="")
    config = folder / "tokenizer_config.json"
    config.write_text(
        json.dumps({"chat_template": "1{{ messages[0].content }}{{ bos_token }}", "bos_token": {"content": "B"}})
    )
    assert Tokens(folder).chat(messages, reply=True, prefill="<j>") == "1humB<j>"
    config.write_text(
        json.dumps({"chat_template": [{"name": "default", "template": "2"}, {"name": "rag", "template": "0"}]})
    )
    assert Tokens(folder).chat(messages, reply=True, prefill="") == "2"
    (folder / "chat_template.jinja").write_text("3{% if add_generation_prompt %}>{% endif %}")
    assert Tokens(folder).chat(messages, reply=True, prefill="") == "3>"
    assert Tokens(folder).chat(messages, reply=False, prefill="") == "3"
    (tmp_path / "mine.jinja").write_text("4{{ raise_exception('no ' ~ messages[0].role) }}")
    with pytest.raises(VerifierError, match=r"mine\.jinja: no user"):
        Tokens(folder, tmp_path / "mine.jinja").chat(messages, reply=True, prefill="")
    with pytest.raises(VerifierError, match="no such chat template"):
        Tokens(folder, tmp_path / "none.jinja").chat(messages, reply=True, prefill="")
    config.write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        Tokens(folder)


def test_a_mean_of_files(folder: Folder) -> None:
    first = folder.file("swe-lego", HERE)
    second = shutil.copy(first, folder.path / "second.yaml")
    (alone,), (both,) = (load_verifier(spec)(POOL[:1]) for spec in (str(first), f"mean:{first},{second}"))
    assert both.score == pytest.approx(alone.score)
