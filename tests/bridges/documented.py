"""The snippets of docs/plug-into-your-trainer.md, for the environments in which their packages are."""

import re

from tests.bridges.servers import ROOT

PAGE = ROOT / "docs" / "plug-into-your-trainer.md"


def snippet(section: str, language: str) -> str:
    """The one block of a language in a section."""
    text = PAGE.read_text(encoding="utf-8")
    (inside,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    (found,) = re.findall(rf"```{language}\n(.*?)```", inside, re.DOTALL)
    return str(found)
