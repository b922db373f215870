"""OpenAI's own SDK: what it reads of the server's decisions and completions."""

import pytest

openai = pytest.importorskip("openai", minversion="3.54", reason="it has an environment of its own: make test-bridges")
pytestmark = pytest.mark.bridges

from tests.bridges.servers import Process  # noqa: E402

QUESTION = {"type": "predicate", "instructions": "Is it mended?", "name": "mended"}
LOG = [
    {"role": "user", "content": "The lamp hums."},
    {"type": "function_call", "call_id": "1", "name": "bash", "arguments": '{"command": "ls"}'},
    {"type": "function_call_output", "call_id": "1", "output": "lamp.py"},
    {"role": "assistant", "content": "Mended."},
]
TEXT = "The lamp hums.\n\nMended."


@pytest.fixture
def sdk(server: Process) -> "openai.OpenAI":
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none-is-asked-for", max_retries=0)


def test_a_decision_is_a_predicate_with_a_probability(sdk: "openai.OpenAI") -> None:
    found = sdk.decisions.create(model="swe-rm", input=LOG, questions=[QUESTION])
    (answer,) = found.answers
    assert type(answer).__name__.endswith("Predicate")
    assert (answer.name, found.model) == ("mended", "numbered@1")
    assert 0 <= answer.probability <= 1


def test_text_gets_the_score_that_a_completion_says(sdk: "openai.OpenAI") -> None:
    found = sdk.decisions.create(model="swe-rm", input=TEXT, questions=[QUESTION])
    said = sdk.chat.completions.create(model="swe-rm", messages=[{"role": "user", "content": TEXT}])
    assert float(said.choices[0].message.content) == round(found.answers[0].probability, 6)


def test_other_questions_are_refused_one_by_one(sdk: "openai.OpenAI") -> None:
    choice = {"type": "choice", "instructions": "Which?", "choices": [{"name": "a"}, {"name": "b"}]}
    found = sdk.decisions.create(model="swe-rm", input=TEXT, questions=[choice, QUESTION])
    assert [answer.type for answer in found.answers] == ["refusal", "predicate"]


def test_an_error_has_its_type(sdk: "openai.OpenAI") -> None:
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        sdk.decisions.create(model="swe-rm", input="no log", questions=[QUESTION])
    assert refused.value.body["type"] == "unreadable"
