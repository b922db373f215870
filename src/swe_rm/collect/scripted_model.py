"""A language model that is a script: an OpenAI-style chat endpoint on this machine, for tests and for trying things.

`python -m swe_rm.collect.scripted_model SCRIPT.json` serves a file of the form {"words of an issue": ["command", ...]}.
"""

import json
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from swe_rm.loopback import Loopback
from swe_rm.trajectory import Noun

_CHARACTERS_PER_TOKEN = 4
"""For the usage figures, which are made up and always the same."""


class Reply(Noun):
    """One answer of the script."""

    content: str = ""
    commands: tuple[str, ...] = ()
    """Each becomes a call of the tool `bash`, or, where the request offers no tools, a block of mini-swe-agent's."""
    status: int = Field(default=200, ge=200)
    """Another than 200 answers with an error, whose message is `content`."""
    raw: str | None = None
    """The whole body, for answers that are none; with status 200."""
    seconds: float = Field(default=0.0, ge=0)
    """Before the answer."""


class ScriptedModel(Loopback):
    """Serves scripts by the issue they are for, on a free port of this machine, while its `with` block lasts.

    The script is the one whose key occurs in the conversation before the first answer; the reply is chosen by the
    number of answers the conversation already holds. So any number of conversations run at once, and one that starts
    anew gets the same answers. A plain string is a reply of one command.
    """

    def __init__(
        self,
        scripts: Mapping[str, Sequence[str | Reply]],
        *,
        failures: Sequence[int] = (),
        usage: bool = True,
        port: int = 0,
    ) -> None:
        """`failures` are HTTP statuses that the first requests get instead; `usage`: whether tokens are told."""
        self._usage = usage
        self._scripts = {key: [_reply(item) for item in script] for key, script in scripts.items()}
        self._failures = list(failures)
        self._lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        """Bodies of the requests so far."""
        self.authorizations: list[str] = []
        """Their Authorization headers."""
        super().__init__(port)

    @property
    def base_url(self) -> str:
        """Of the API, as clients want it."""
        return f"{self.url}/v1"

    def respond(self, method: str, path: str, body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        """See `Loopback`."""
        if method == "GET":
            return 200, b'{"object": "list", "data": [{"id": "scripted", "object": "model"}]}'
        if re.fullmatch(r"/v1/chat/completions/?", path):
            return self.answer(body, authorization)
        return 404, _error(f"no such path: {path}", 404)

    def answer(self, body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        """Status and body for one request."""
        with self._lock:
            self.requests.append(body)
            self.authorizations.append(authorization)
            number = len(self.requests)
            failure = self._failures.pop(0) if self._failures else None
        reply = Reply(status=failure, content="scripted failure") if failure else self._next(body["messages"])
        time.sleep(reply.seconds)
        if reply.raw is not None:
            return 200, reply.raw.encode()
        if reply.status != 200:
            return reply.status, _error(reply.content, reply.status)
        completion = _completion(number, body, reply)
        if not self._usage:
            del completion["usage"]
        return 200, json.dumps(completion).encode()

    def _next(self, messages: Sequence[Mapping[str, Any]]) -> Reply:
        roles = [message["role"] for message in messages]
        start = roles.index("assistant") if "assistant" in roles else len(roles)
        asked = "\n".join(_text(message) for message in messages[:start])
        script = next((script for key, script in self._scripts.items() if key in asked), [])
        answers = roles.count("assistant")
        return script[answers] if answers < len(script) else Reply(status=400, content="the script has no more replies")


def _reply(item: str | Reply) -> Reply:
    return item if isinstance(item, Reply) else Reply(content="I run a command.", commands=(item,))


def _error(message: str, status: int) -> bytes:
    return json.dumps({"error": {"message": message, "type": "scripted", "code": status}}).encode()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _completion(number: int, body: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if body.get("tools"):
        message["tool_calls"] = [
            {"id": f"call-{number}-{n}", "type": "function", "function": _call(command)}
            for n, command in enumerate(reply.commands)
        ] or None
    else:
        message["content"] += "".join(f"\n```mswea_bash_command\n{command}\n```" for command in reply.commands)
    prompt = sum(len(_text(message)) for message in body["messages"]) // _CHARACTERS_PER_TOKEN
    written = len(json.dumps(message)) // _CHARACTERS_PER_TOKEN
    return {
        "id": f"scripted-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model", "scripted"),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if reply.commands else "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written},
    }


def _call(command: str) -> dict[str, str]:
    return {"name": "bash", "arguments": json.dumps({"command": command})}


def main(argv: Sequence[str] | None = None) -> None:
    """Serve a file of scripts until interrupted; the first line of output is the base URL."""
    given = sys.argv[1:] if argv is None else argv
    if len(given) not in (1, 2) or not all(one.isdecimal() for one in given[1:]):
        sys.exit("swe_rm.collect.scripted_model SCRIPTS.json [PORT]")
    try:
        scripts = json.loads(Path(given[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{given[0]}: {getattr(error, 'strerror', None) or error}")
    with ScriptedModel(scripts, port=int(given[1]) if given[1:] else 0) as model:
        sys.stdout.write(f"{model.base_url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
