"""Config: values by section and key, references resolved when asked for."""

import re

from .errors import ConfigError, InterpolationError
from .reader import Sections, read_sections

_REFERENCE = re.compile(r"\$\{(?:([^${}:]+):)?([^${}:]+)\}")
_BOOLEANS = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}


class Config:
    """Parsed configuration. Keys are case-insensitive, sections are not."""

    def __init__(self, sections: Sections) -> None:
        self._sections = sections

    def sections(self) -> list[str]:
        """The names of the sections, in the order of the file."""
        return list(self._sections)

    def items(self, section: str) -> dict[str, str]:
        """All values of a section, references resolved."""
        return {key: self.get(section, key) for key in self._raw_section(section)}

    def get(self, section: str, key: str) -> str:
        """The value, references resolved; raises ConfigError."""
        return self._resolve(section, key.lower(), ())

    def get_int(self, section: str, key: str) -> int:
        """The value as an integer."""
        return int(self.get(section, key))

    def get_bool(self, section: str, key: str) -> bool:
        """The value as yes/no, true/false, on/off or 1/0."""
        value = self.get(section, key).lower()
        if value not in _BOOLEANS:
            raise ConfigError(f"[{section}] {key} is not a yes or no: {value!r}")
        return _BOOLEANS[value]

    def _raw_section(self, section: str) -> dict[str, str]:
        if section not in self._sections:
            raise ConfigError(f"no section [{section}]")
        return self._sections[section]

    def _resolve(
        self, section: str, key: str, pending: tuple[tuple[str, str], ...]
    ) -> str:
        if (section, key) in pending:
            raise InterpolationError(f"[{section}] {key} refers to itself")
        values = self._raw_section(section)
        if key not in values:
            raise ConfigError(f"no {key!r} in [{section}]")
        chain = (*pending, (section, key))

        def insert(match: re.Match[str]) -> str:
            target, name = match.group(1) or section, match.group(2).lower()
            return self._resolve(target, name, chain)

        return _REFERENCE.sub(insert, values[key])


def loads(text: str) -> Config:
    """The configuration in ``text``."""
    return Config(read_sections(text))
