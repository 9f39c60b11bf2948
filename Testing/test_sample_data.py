"""The sample case in Slicer's module Sample Data: what is registered, against the files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_CASE = ROOT / "EARReconstruction" / "Resources" / "SampleCase"


@pytest.fixture
def samples(desktop: Any) -> list[dict[str, Any]]:
    """What the module registers when Slicer has started."""
    desktop.load_module(ROOT / "EARReconstruction" / "EARReconstruction.py")
    return list(desktop.sample_data)


def test_one_sample(samples: list[dict[str, Any]]) -> None:
    assert [sample["sampleName"] for sample in samples] == ["EARSampleSpine"]


def test_checksums_are_those_of_the_files(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        files = [Path(url2pathname(urlsplit(uri).path)) for uri in sample["uris"]]
        assert files
        assert all(file.parent == SAMPLE_CASE for file in files), "they come with the extension: nothing is fetched"
        found = [f"SHA256:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
        assert sample["checksums"] == found


def test_every_file_has_a_name_and_a_node(samples: list[dict[str, Any]]) -> None:
    for sample in samples:
        lists = [sample[key] for key in ("uris", "fileNames", "nodeNames", "checksums")]
        assert len({len(values) for values in lists}) == 1
        assert all(len(set(values)) == len(values) for values in lists)


def test_it_opens(samples: list[dict[str, Any]], desktop: Any, slicer: Any) -> None:
    nodes = samples[0]["customDownloader"](None)
    assert [node.GetClassName() for node in nodes] == ["vtkMRMLScalarVolumeNode"] * 2
    desktop.check()
    case = json.loads((SAMPLE_CASE / "case.json").read_text(encoding="utf-8"))
    assert len(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")) == len(case["vertebrae"])
