"""The retry loop of SWE-agent: its templates, filled as SWE-agent fills them, come to the verifier as the whole log."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

pytest.importorskip("fastapi", reason="no FastAPI: pip install 'swe-rm[serve]'")
pytest.importorskip("jinja2", reason="no Jinja: pip install 'swe-rm[remote]'")

import jinja2

from tests.bridging import TOKEN, Seeing, Served, recorded, running, shown
from tests.serving import share

FILE = Path(__file__).parents[1] / "configs" / "bridges" / "swe_agent.yaml"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with running(Seeing()) as found:
        yield found


def messages(config: dict[str, Any], call: dict[str, Any]) -> list[dict[str, str]]:
    """As `Reviewer.format_messages` makes them."""
    item = config["traj_formatter"]["item_template"]
    steps = [
        jinja2.Template(item).render(**step, i_step=number, i_traj=1) for number, step in enumerate(call["trajectory"])
    ]
    told = {name: value for name, value in call["info"].items() if isinstance(value, str)}
    told |= {"problem_statement": call["problem_statement"], "traj": "\n\n".join(steps)}
    user = jinja2.Template(config["instance_template"]).render(**told)
    return [{"role": "system", "content": config["system_template"]}, {"role": "user", "content": user}]


def test_the_reviewer_gets_the_score_of_the_whole_log_as_the_last_number(served: Served) -> None:
    loop = yaml.safe_load(FILE.read_text(encoding="utf-8"))["agent"]["retry_loop"]
    document = recorded("swe_agent")
    body = {"model": "swe-rm", "messages": messages(loop["reviewer_config"], document["call"]), "temperature": 0.0}
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = Request(f"{served.url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=30) as answer:
        said = json.load(answer)["choices"][0]["message"]["content"]
    (seen,) = served.verifier.seen
    assert shown(seen) == document["seen"][0]
    number = float(re.findall(r"-?\d+\.?\d*", said.strip().split("\n")[-1])[-1])  # as `Reviewer.interpret` reads it
    assert number == pytest.approx(share(seen), abs=1e-6)
    low, high = loop["reviewer_config"]["score_range"]
    assert low <= number <= high
