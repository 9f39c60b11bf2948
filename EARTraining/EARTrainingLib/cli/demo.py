"""`ear demo`: the sample case through everything that `ear reconstruct` does."""

from __future__ import annotations

from pathlib import Path

from .common import DeviceOption, JsonOption, ModelOption, OutputOption, reported
from .reconstruct import run, tell


def demo(
    output: OutputOption = Path("ear-demo"),
    model: ModelOption = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Rebuild the sample spine from its two X-rays and show how far it is from the truth.

    The sample is a made-up spine (a phantom), so the truth is known. Earlier demo results in the folder are replaced.
    """
    from EARReconstructionLib.resources import SAMPLE_CASE

    with reported(as_json):
        summary = run(SAMPLE_CASE, output, model=model, device=device, overwrite=True, quiet=as_json)
        tell(summary, output, as_json)
