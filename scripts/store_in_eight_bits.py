"""A model file of half the size: 8 bits per weight in place of 16. Measure it again before you ship it.

python scripts/store_in_eight_bits.py large/NAME.safetensors -o NAME.safetensors
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from EARReconstructionLib.bundle import load_bundle, save_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    card = replace(
        bundle.card, provenance={**bundle.card.provenance, "stored": {"bits": 8, "from_sha256": bundle.sha256}}
    )
    save_bundle(options.output, card, bundle.network(), eight_bits=True)


if __name__ == "__main__":
    main()
