"""The mean of the weights of models that were trained on from one another, as one model.

    python scripts/average_models.py earlier.safetensors later.safetensors -o averaged.safetensors

Works for states of one training only: they compute nearly the same with each channel. The card is that of the last,
which was trained on from the others; set its threshold with `ear calibrate --threshold`, which also measures its
expected errors. Its licence names those of all.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from EARReconstructionLib.bundle import load_bundle, save_bundle
from EARTrainingLib.training.export import BEFORE

#: What has to be the same for weights to mean the same.
SAME = ("architecture", "arguments", "size", "spacing_mm", "field", "lift", "hu_mean", "hu_sd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    models = [load_bundle(path) for path in options.bundles]
    last = models[-1]
    for model, name in ((model, name) for model in models for name in SAME):
        if getattr(model.card, name) != getattr(last.card, name):
            parser.error(f"{model.card.name} and {last.card.name} differ in {name}")
    network = last.network()
    network.load_state_dict(
        {
            name: torch.stack([model.weights[name].float() for model in models]).mean(0).to(weight.dtype)
            for name, weight in network.state_dict().items()
        }
    )
    parts = [{"name": model.card.name, "sha256": model.sha256, **model.card.provenance} for model in models]
    licences = dict.fromkeys(part for model in models for part in model.card.data_licence.split(BEFORE))
    card = replace(
        last.card,
        name=options.output.stem,
        data_licence=BEFORE.join(licences),
        provenance={**last.card.provenance, "average_of": parts},
        error_calibration=(),
    )
    save_bundle(options.output, card, network)


if __name__ == "__main__":
    main()
