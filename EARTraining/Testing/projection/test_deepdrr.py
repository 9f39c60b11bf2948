"""DeepDRR's engine with all but DeepDRR: the process, its answers and its deaths, and the correction of its fault."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import View, cube_affine, transform_points
from EARTrainingLib.projection import EngineError, TorchEngine, deepdrr_engine, make_engine
from EARTrainingLib.projection.deepdrr_check import check_deepdrr
from EARTrainingLib.projection.deepdrr_engine import DeepDRREngine, _Uncorrected
from EARTrainingLib.projection.deepdrr_process import WORKER, DeepDRRProcess

AFFINE = cube_affine((3.0, -8.0, 40.0), 30, 1.5)
VIEWS = [
    View(alpha, beta, 800.0, 1100.0, 1.6, 56, 60, (3.0, -8.0, 40.0)) for alpha, beta in ((0, 0), (90, 0), (30, 15))
]


@pytest.fixture
def body():
    """(D, H, W) HU: soft tissue to the last voxel of every axis, a bone on the left, front and top."""
    hu = torch.full((30, 30, 30), -1000.0)
    hu[10:, 6:, 12:] = 40
    hu[20:26, 19:25, 13:20] = 900
    return hu


@pytest.fixture(scope="module")
def engine(deepdrr_python):
    with DeepDRREngine(deepdrr_python()) as engine:
        yield engine


@pytest.fixture
def uncorrected(deepdrr_python):
    """DeepDRR as it is: without beads it starts in no time. Its process is the second value."""
    process = DeepDRRProcess(deepdrr_python())
    yield _Uncorrected(process), process
    process.close()


class TestEngine:
    def test_its_area_densities_are_those_of_the_ray_marcher(self, body, engine):
        np.testing.assert_allclose(engine.calibration.shift_voxels, (1, 1, 1), atol=0.02)
        assert engine.calibration.error_px > 1
        expected = TorchEngine().project(body, AFFINE, VIEWS)
        found = engine.project(body, AFFINE, VIEWS)
        assert found.shape == expected.shape
        assert found.dtype == torch.float32
        for channel in (0, 1):
            mean = float(expected[:, channel].mean())
            assert (found - expected)[:, channel].abs().mean() < 0.03 * mean
            assert float(found[:, channel].mean()) == pytest.approx(mean, rel=0.005)  # no border is cut off

    def test_a_volume_without_bone_or_without_anything(self, body, engine):
        soft, bone = engine.project(body.clamp_max(40), AFFINE, VIEWS[:1])[0]
        assert soft.max() > 20
        assert not bone.any()
        assert not engine.project(torch.full_like(body, -1000), AFFINE, VIEWS).any()

    def test_uncorrected_it_is_one_voxel_off(self, uncorrected):
        hu = torch.full((30, 30, 30), -1000.0)
        hu[14, 12, 17] = 0
        image = uncorrected[0].project(hu, AFFINE, VIEWS[:1])[0].sum(0).numpy()
        v, u = np.indices(image.shape) + 0.5
        centre = np.array([(image * u).sum(), (image * v).sum()]) / image.sum()
        np.testing.assert_allclose(centre, VIEWS[0].project(transform_points(AFFINE, (18, 13, 15)))[0], atol=0.1)

    def test_a_new_process_follows_many_projectors(self, body, uncorrected, monkeypatch):
        monkeypatch.setattr(deepdrr_engine, "PROJECTORS_PER_PROCESS", 3)
        engine, process = uncorrected
        before = engine.project(body, AFFINE, VIEWS[:1])
        first = process._process.pid
        assert torch.equal(engine.project(body, AFFINE, VIEWS[:1]), before)
        assert process._process.pid != first

    def test_closing_ends_the_process(self, deepdrr_python, monkeypatch):
        monkeypatch.setattr(deepdrr_engine, "Calibrated", lambda engine: process_started(engine))
        engine = make_engine("deepdrr", deepdrr_python())
        worker = engine._process._process
        assert worker.poll() is None
        engine.close()
        assert worker.poll() is not None
        engine.close()

    def test_an_engine_that_cannot_be_corrected_leaves_no_process(self, deepdrr_python, monkeypatch):
        started = []

        def refuse(engine):
            started.append(process_started(engine)._process._process)
            raise EngineError("engine", "it draws nonsense", "Use another")

        monkeypatch.setattr(deepdrr_engine, "Calibrated", refuse)
        with pytest.raises(EngineError, match="nonsense"):
            make_engine("deepdrr", deepdrr_python())
        assert started[0].poll() is not None


def process_started(engine):
    """The engine after its first image."""
    engine.project(torch.zeros(3, 3, 3), AFFINE, VIEWS[:1])
    return engine


def ask(python, start_s=60.0, answer_s=60.0):
    """Project an empty request under a Python; what the refusal says."""
    process = DeepDRRProcess(python, start_s, answer_s)
    with pytest.raises(EngineError) as error:
        _Uncorrected(process).project(torch.zeros(3, 3, 3), AFFINE, VIEWS[:1])
    assert process._process is None
    assert "--check-engine" in str(error.value) or "--deepdrr-python" in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestTrouble:
    def test_killed_midway(self, deepdrr_python):
        said = ask(deepdrr_python("die"))
        assert "has ended (signal 9)" in said
        assert "illegal memory access" in said

    def test_after_a_death_the_next_volume_gets_a_new_process(self, uncorrected, body):
        engine, process = uncorrected
        before = engine.project(body, AFFINE, VIEWS[:1])
        process._process.kill()
        with pytest.raises(EngineError, match="has ended"):
            engine.project(body, AFFINE, VIEWS[:1])
        assert torch.equal(engine.project(body, AFFINE, VIEWS[:1]), before)

    def test_an_error_of_deepdrr_is_passed_on(self, deepdrr_python):
        assert "RuntimeError: CUDA out of memory while allocating" in ask(deepdrr_python("raise"))

    def test_no_answer_in_time(self, deepdrr_python):
        assert "did not answer within 0.5 s" in ask(deepdrr_python("hang"), answer_s=0.5)

    def test_an_image_with_holes(self, uncorrected, body, monkeypatch):
        monkeypatch.setattr(np, "load", lambda *_, **__: np.full((1, 56, 60), np.nan, np.float32))
        with pytest.raises(EngineError, match="not whole"):
            uncorrected[0].project(body, AFFINE, VIEWS[:1])

    def test_a_python_that_is_not_there(self, tmp_path):
        said = ask(tmp_path / "none" / "python")
        assert "none/python" in said
        assert "No such file" in said

    def test_a_program_that_is_no_python(self):
        assert "has ended (exit status 0)" in ask("/bin/true")

    def test_a_program_that_talks(self, tmp_path):
        chatter = tmp_path / "chatter"
        chatter.write_text("#!/bin/sh\necho hello\nsleep 9\n")
        chatter.chmod(0o755)
        assert "answered 'hello'" in ask(chatter)

    def test_a_python_without_deepdrr(self):
        said = ask(sys.executable)
        assert "DeepDRR cannot be imported" in said
        assert "No module named 'deepdrr'" in said

    def test_our_own_packages_are_hidden_from_it(self, deepdrr_python, monkeypatch):
        monkeypatch.setenv("PYTHONPATH", str(deepdrr_python().parent))
        assert "No module named 'deepdrr'" in ask(sys.executable)

    def test_another_version(self, deepdrr_python):
        assert "it has DeepDRR 1.1.0, not 1.2.2" in ask(deepdrr_python(version="1.1.0"))

    def test_no_python_is_given(self):
        with pytest.raises(EngineError, match="--deepdrr-python"):
            make_engine("deepdrr")


class TestWorker:
    def test_it_imports_nothing_of_ours(self):
        tree = ast.parse(WORKER.read_text())
        names = {
            (alias.name if isinstance(node, ast.Import) else node.module).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert names - set(sys.stdlib_module_names) == {"numpy", "deepdrr"}
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


class TestSelfCheck:
    def test_each_missing_piece_is_named_with_what_to_do(self):
        pieces = {piece.name: piece for piece in check_deepdrr(sys.executable)}
        assert pieces["deepdrr"].found == ""
        assert 'pip install "deepdrr==1.2.2"' in pieces["deepdrr"].advice
        assert pieces["cupy-cuda12x"].needed == "cupy-cuda12x<14"
        assert pieces["numpy"].found == np.__version__
        assert pieces["numpy"].there == (int(np.__version__.split(".")[0]) < 2)
        assert set(pieces) >= {"system", "NVIDIA driver", "CUDA toolkit (nvcc)", "EGL", "cuda-python", "numba"}

    def test_a_machine_with_everything(self, deepdrr_python, tmp_path):
        """Stand-ins for the programs; the packages are empty, for nothing is imported."""
        for name, words in (
            ("nvidia-smi", "NVIDIA H100, 560.35"),
            ("nvcc", "Cuda compilation tools, release 12.4, V12.4.131"),
        ):
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\necho '{words}'\n")
            program.chmod(0o755)
        python = deepdrr_python(CUDA_PATH=tmp_path, PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")
        versions = {"numpy": "1.26.4", "cupy_cuda12x": "13.3.0", "cuda_python": "12.6.0", "numba": "0.60.0"}
        for name, version in {**versions, "killeengeo": "0.0.5"}.items():
            facts = python.parent / f"{name}-{version}.dist-info"
            facts.mkdir()
            (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        pieces = {piece.name: piece for piece in check_deepdrr(python)}
        assert {name for name, piece in pieces.items() if not piece.there} <= {"EGL"}
        assert pieces["CUDA toolkit (nvcc)"].found == "12.4"
        assert "H100" in pieces["NVIDIA driver"].found

    @pytest.mark.parametrize(
        ("name", "version", "fits"),
        [("cuda_python", "13.0.0", False), ("cupy_cuda12x", "14.0.0a1", False), ("cupy_cuda12x", "13.6.0", True)],
    )
    def test_versions_that_will_not_do(self, deepdrr_python, name, version, fits):
        python = deepdrr_python()
        facts = python.parent / f"{name}-{version}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        pieces = {piece.name: piece for piece in check_deepdrr(python)}
        assert pieces[name.replace("_", "-")].there == fits

    def test_no_python_at_all(self, tmp_path):
        with pytest.raises(EngineError, match="cannot be run"):
            check_deepdrr(tmp_path / "python")
        with pytest.raises(EngineError, match="no usable Python"):
            check_deepdrr(Path("/bin/true"))
