"""`ear demo` on the sample case that ships."""

import json

import numpy as np
from EARReconstructionLib import resources
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume


def files_of(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


class TestDemo:
    def test_the_sample_spine_is_rebuilt(self, ear, tmp_path):
        result = ear("demo", "-o", tmp_path / "demo", "--device", "cpu", "--json")
        assert result.exit_code == 0, result.stdout + result.stderr
        said = json.loads(result.stdout)
        assert len(said["vertebrae"]) >= 5
        assert said["model"] == resources.DEFAULT_MODEL
        rows = said["comparison"]
        assert [row["level"] for row in rows] == said["vertebrae"]
        assert np.mean([row["dice"] for row in rows]) > 0.6
        assert np.mean([row["assd_mm"] for row in rows]) < 4
        for name in [
            "picture.png",
            "report.html",
            "distances.csv",
            "spine.nrrd",
            "spine-labels.seg.nrrd",
            *(f"surfaces/{level}.stl" for level in said["vertebrae"]),
            *(f"volumes/{level}.nrrd" for level in said["vertebrae"]),
        ]:
            assert (tmp_path / "demo" / name).stat().st_size > 100
        assert set(said["files"]) <= set(files_of(tmp_path / "demo"))
        labels = np.unique(read_volume(tmp_path / "demo" / "spine-labels.seg.nrrd").array)
        assert set(labels) == {0, *(VERSE_LABEL[level] for level in said["vertebrae"])}
