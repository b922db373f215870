"""Tiny weights for other people's verifiers, and a folder of verifier files that name them."""

from pathlib import Path

import pytest

from swe_rm.verifiers.remote.stand_in import Language
from tests.engines import language
from tests.foreign.foreign_weights import causal, tokenizer_folder
from tests.foreign.verifier_files import Folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model that reads what its tokenizer makes of <judgement>YES</judgement>."""
    return causal(tokenizer_folder(tmp_path_factory.mktemp("weights"), "YES", "NO", "<judgement>", "</judgement>"))


@pytest.fixture(scope="session")
def spoken(weights: Path) -> Language:
    """What those weights say, for a server that speaks with them."""
    return language(weights)


@pytest.fixture
def folder(tmp_path: Path, weights: Path) -> Folder:
    """A folder with the verifier files and all they ask a user for."""
    return Folder(tmp_path, weights)
