"""How much of a pile of attempts fits uncut at each context length, in tokens of a checkpoint's vocabulary.

python scripts/measure_lengths.py PATH... --checkpoint src/swe_rm/shipped/model
"""

import argparse
from pathlib import Path

import numpy as np

from swe_rm import model, sources
from swe_rm.render import LengthPolicy, Renderer
from swe_rm.vocabulary import Vocabulary

LENGTHS = (512, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144)
UNCUT = LengthPolicy(max_tokens=10_000_000, issue_cap=1_000_000, patch_cap=4_000_000)


def main() -> None:
    """Print quantiles of the rendered length and the share that fits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--checkpoint", type=Path, required=True)
    arguments = parser.parse_args()
    card = model.read_card(arguments.checkpoint)
    renderer = Renderer(Vocabulary.load(arguments.checkpoint, card.control), UNCUT)
    attempts = sources.open_pile(arguments.paths).attempts()
    lengths = np.array([len(renderer.prompt(item.trajectory).token_ids) for item in attempts])
    quantiles = ", ".join(f"{q:.0%} {np.quantile(lengths, q):,.0f}" for q in (0.1, 0.5, 0.9, 0.99, 1))
    print(f"{len(lengths)} attempts, tokens: mean {lengths.mean():,.0f}, {quantiles}")
    for length in LENGTHS:
        print(f"{length:>8,}  {np.mean(lengths <= length):.1%}")


if __name__ == "__main__":
    main()
