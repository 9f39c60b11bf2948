"""Long work on a scene: looked at, worked on another thread, shown; and what is seen of its results."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from EARReconstructionLib.case import Case
from EARReconstructionLib.errors import CaseError, GeometryError
from EARReconstructionLib.resources import find_model

RUN = "ear-column-64"


@pytest.fixture
def scene(stage: Any, sample: Case) -> Any:
    """The scene with the sample case."""
    from EARReconstructionLib.scene.cases import show_case

    show_case(stage.scene, sample)
    return stage.scene


@pytest.fixture
def shown(scene: Any, rebuilt: SimpleNamespace) -> Any:
    """The same with L1 and L2 rebuilt."""
    from EARReconstructionLib.scene.results import show_results

    show_results(scene, rebuilt.reconstructions)
    return scene


def on_a_thread(task: Any) -> Any:
    """Run a task as a face does, and return what it shows."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(task.work(lambda *_: None, lambda: False)))
    thread.start()
    thread.join(60)
    return task.show(found[0])


class TestReconstruction:
    def test_and_back(self, shown: Any) -> None:
        from EARReconstructionLib.scene.results import rois_of
        from EARReconstructionLib.scene.rois import roi_nodes
        from EARReconstructionLib.scene.tasks import reconstruction_task, take_back

        before = rois_of(shown, RUN)
        node = next(node for node in roi_nodes(shown) if node.GetName() == "L1")
        node.SetCenter(*np.add(node.GetCenter(), (0, 2, 0)))
        replaced = on_a_thread(reconstruction_task(shown, find_model(RUN), ["L1"], "cpu"))
        assert (replaced.run, replaced.levels, len(replaced.before)) == (RUN, ("L1",), 1)
        assert rois_of(shown, RUN)["L1"] != before["L1"]
        take_back(shown, replaced)
        assert rois_of(shown, RUN) == before

    def test_as_the_core_does_it(self, scene: Any, rebuilt: SimpleNamespace) -> None:
        """Each radiograph goes with its own view: what comes out is what came out without a scene."""
        from EARReconstructionLib.scene.tasks import reconstruction_task

        (one,) = reconstruction_task(scene, find_model(RUN), ["L1"], "cpu").work(lambda *_: None, lambda: False)
        assert one.roi.level == "L1"
        assert one.volume_hu == pytest.approx(rebuilt.reconstructions[0].volume_hu, abs=1)

    def test_what_is_missing(self, scene: Any, stage: Any) -> None:
        from EARReconstructionLib.scene.tasks import reconstruction_task

        with pytest.raises(CaseError, match="no ROI for C1"):
            reconstruction_task(scene, find_model(RUN), ["C1"])
        stage.reset()
        with pytest.raises(GeometryError, match="no frontal radiograph"):
            reconstruction_task(scene, find_model(RUN))


class TestExport:
    @pytest.mark.parametrize("draw_now", [False, True])
    def test_folder(self, shown: Any, tmp_path: Path, draw_now: bool) -> None:
        from EARReconstructionLib.scene.tasks import export_task

        summary = on_a_thread(export_task(shown, RUN, tmp_path / "out", draw_now=draw_now))
        assert "report.html" in summary["files"]
        assert b"<html" in (tmp_path / "out" / "report.html").read_bytes()


class TestDisplay:
    def test_run(self, shown: Any) -> None:
        from EARReconstructionLib.scene.display import is_run_shown, show_boxes, show_run
        from EARReconstructionLib.scene.nodes import SURFACE, find_nodes
        from EARReconstructionLib.scene.rois import roi_nodes

        def visible() -> set[bool]:
            return {bool(node.GetDisplayVisibility()) for node in find_nodes(shown, SURFACE)}

        show_run(shown, RUN, False)
        show_boxes(shown)
        assert (is_run_shown(shown, RUN), visible()) == (False, {False})
        assert all(node.GetDisplayNode().GetVisibility3D() for node in roi_nodes(shown))
        show_run(shown, RUN, True, on_reference=True)  # it has none: its own stay
        show_boxes(shown)
        assert (is_run_shown(shown, RUN), visible()) == (True, {True})
        boxes = {node.GetName(): node.GetDisplayNode().GetVisibility3D() for node in roi_nodes(shown)}
        assert (bool(boxes["L1"]), bool(boxes["L3"])) == (False, True)

    def test_looking_at_it(self, shown: Any, stage: Any) -> None:
        from EARReconstructionLib.scene.display import look_at, show_in_planes
        from EARReconstructionLib.scene.nodes import SPINE, find_node

        look_at(shown, RUN)
        show_in_planes(shown, RUN)
        bounds = [0.0] * 6
        find_node(shown, SPINE, run=RUN).GetRASBounds(bounds)
        middle = np.reshape(bounds, (3, 2)).mean(1)
        assert stage.axial.node.GetSliceToRAS().GetElement(2, 3) == pytest.approx(middle[2], abs=0.1)
        assert stage.axial.pixels().max() > 100
        cameras = [node for node in list(shown.GetNodes()) if node.IsA("vtkMRMLCameraNode")]
        assert cameras
        for camera in cameras:
            assert camera.GetFocalPoint() == pytest.approx(middle)
            assert camera.GetPosition()[1] > middle[1]  # from the front
