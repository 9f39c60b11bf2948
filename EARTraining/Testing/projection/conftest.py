"""A Python with a stand-in for DeepDRR."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def deepdrr_python(tmp_path_factory):
    """A function that makes a program ``python`` which has the stand-in: (mode, version) -> its path."""

    def make(mode="", version="1.2.2", **environment):
        site = tmp_path_factory.mktemp("site")
        (site / "deepdrr").mkdir()
        (site / "deepdrr" / "__init__.py").write_text(Path(__file__).with_name("fake_deepdrr.py").read_text())
        facts = site / f"deepdrr-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deepdrr\nVersion: {version}\n")
        python = site / "python"
        given = {"PYTHONPATH": site, "FAKE_DEEPDRR": mode, "OMP_NUM_THREADS": 1, **environment}
        lines = ["#!/bin/sh", *(f"export {name}='{value}'" for name, value in given.items())]
        python.write_text("\n".join([*lines, f'exec "{sys.executable}" "$@"', ""]))
        python.chmod(0o755)
        return python

    return make
