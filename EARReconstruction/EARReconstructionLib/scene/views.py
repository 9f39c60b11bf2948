"""Names of the views that scene code speaks of."""

from __future__ import annotations

#: Singleton tags of our own slice views for the radiographs, so that the standard views keep their planes.
VIEW_TAGS = {"frontal": "EARFrontal", "lateral": "EARLateral"}

#: What people call the two radiographs and their views.
TITLES = {"frontal": "AP", "lateral": "Lateral"}

#: Ids of the views for what has no place on a radiograph: 3-D and the planes of a volume.
STANDARD_VIEWS = ("vtkMRMLViewNode1", "vtkMRMLSliceNodeRed", "vtkMRMLSliceNodeGreen", "vtkMRMLSliceNodeYellow")


def view_node_id(role: str) -> str:
    """Id of the slice node that shows the radiograph of a role, whether it exists yet or not: tags fix the ids."""
    return f"vtkMRMLSliceNode{VIEW_TAGS[role]}"
