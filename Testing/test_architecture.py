"""The rules of the house that a program can check: arrows, safety, docstrings, size."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECONSTRUCTION, TRAINING = "EARReconstructionLib", "EARTrainingLib"
LIBS = {
    RECONSTRUCTION: ROOT / "EARReconstruction" / RECONSTRUCTION,
    TRAINING: ROOT / "EARTraining" / TRAINING,
}
LONGEST_FILE_LINES = 350

SLICER = {"slicer", "qt", "ctk", "mrml", "vtkAddon", "PythonQt", "trame_slicer"}
CORE_LIBRARIES = {"torch", "numpy", "scipy", "SimpleITK", "vtk", "vtkmodules", "pydicom", "pylibjpeg", "safetensors"}
# A part may import the parts of its own row and of the rows below it. The report draws and knows no scene: the command
# line writes the same page as the panels.
ROWS = {"errors": 0, "geometry": 1, "networks": 2, "core": 3, "report": 4, "scene": 5, "app": 6, "panel": 6}
RUNS_CODE_WHEN_READ = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}


@cache
def sources(lib: str) -> dict[str, ast.Module]:
    """The parsed files of a Lib by module name, such as ``EARReconstructionLib.geometry.views``."""
    folder = LIBS[lib]
    parsed = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
        parsed[".".join(parts)] = tree
    assert parsed, f"{folder} has no Python files"
    return parsed


def imports(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that the module ``name`` imports, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = name.split(".")[: -node.level] if node.level else []
            base = ".".join(package + ([node.module] if node.module else []))
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def top(name: str) -> str:
    """The package that a full name begins with."""
    return name.split(".")[0]


def part_of(name: str) -> str:
    """The part of EARReconstructionLib that a full name belongs to: a key of ROWS."""
    second = [*name.split("."), ""][1]
    return second if second in ROWS else "core"


def knows_slicer(name: str) -> bool:
    """Whether a module of a Lib may know Slicer, and whether it may draw."""
    lib, part = [*name.split("."), ""][:2]
    return part == "panel" or (lib == RECONSTRUCTION and part in ("scene", "app"))


def wrong_imports(lib: str, is_wrong: Callable[[str, str], bool]) -> list[str]:
    """The imports of a Lib, with their places, for which ``is_wrong(importing module, imported name)``."""
    return [
        f"{name}:{line} {imported}"
        for name, tree in sources(lib).items()
        for line, imported in imports(name, tree)
        if is_wrong(name, imported)
    ]


class TestArrowsPointDown:
    """Faces -> scene -> core -> networks, geometry -> torch, numpy."""

    def test_reconstruction_never_imports_training(self) -> None:
        assert not wrong_imports(RECONSTRUCTION, lambda _, imported: top(imported) == TRAINING)

    @pytest.mark.parametrize("lib", LIBS)
    def test_slicer_is_known_to_scene_and_faces_only(self, lib: str) -> None:
        assert not wrong_imports(lib, lambda name, imported: top(imported) in SLICER and not knows_slicer(name))

    @pytest.mark.parametrize("lib", LIBS)
    def test_qt_is_known_to_panels_only(self, lib: str) -> None:
        assert not wrong_imports(
            lib, lambda name, imported: top(imported) in {"qt", "ctk"} and ".panel." not in f"{name}."
        )

    def test_faces_do_not_know_each_other(self) -> None:
        faces = {"app", "panel"}
        assert not wrong_imports(
            RECONSTRUCTION,
            lambda name, imported: top(imported) == RECONSTRUCTION and {part_of(name), part_of(imported)} == faces,
        )

    def test_core_imports_what_slicer_ships_torch_and_safetensors_only(self) -> None:
        allowed = CORE_LIBRARIES | sys.stdlib_module_names | {RECONSTRUCTION}
        assert not wrong_imports(
            RECONSTRUCTION, lambda name, imported: top(imported) not in allowed and not knows_slicer(name)
        )

    def test_core_draws_nothing(self) -> None:
        """Nor does it import the whole of vtk, which can."""
        draws = re.compile(r"vtk$|vtkmodules\.\w*(Rendering|Interaction|Views)")
        assert not wrong_imports(
            RECONSTRUCTION,
            lambda name, imported: bool(draws.match(imported)) and ROWS[part_of(name)] <= ROWS["core"],
        )

    def test_no_part_imports_one_above_it(self) -> None:
        assert not wrong_imports(
            RECONSTRUCTION,
            lambda name, imported: top(imported) == RECONSTRUCTION and ROWS[part_of(imported)] > ROWS[part_of(name)],
        )

    def test_relative_imports_are_followed(self) -> None:
        """Guards the reader of imports itself."""
        tree = ast.parse("from ..networks import ear\nfrom . import views\nfrom .frames import RAS\nimport torch.nn")
        assert [imported for _, imported in imports(f"{RECONSTRUCTION}.geometry.biplanar", tree)] == [
            f"{RECONSTRUCTION}.networks.ear",
            f"{RECONSTRUCTION}.geometry.views",
            f"{RECONSTRUCTION}.geometry.frames.RAS",
            "torch.nn",
        ]
        assert part_of(f"{RECONSTRUCTION}.networks.ear") == "networks"
        assert part_of(f"{RECONSTRUCTION}.bundle") == "core"
        assert part_of(f"{RECONSTRUCTION}.report.page") == "report"

    @pytest.mark.parametrize("lib", LIBS)
    def test_importing_a_lib_alone_loads_nothing_heavy(self, lib: str) -> None:
        """Slicer imports the Lib at its start, with or without torch installed."""
        program = f"import sys, {lib}; print(*sys.modules)"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(folder.parent) for folder in LIBS.values())}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert not {"torch", "numpy", "scipy", "SimpleITK", "vtk", "matplotlib"} & set(done.stdout.split())


class TestSafety:
    """A file of a stranger can run no code."""

    @pytest.mark.parametrize("lib", LIBS)
    def test_nothing_that_runs_code_when_it_is_read(self, lib: str) -> None:
        assert not wrong_imports(
            lib, lambda _, imported: top(imported) in RUNS_CODE_WHEN_READ or imported in ("torch.load", "joblib.load")
        )

    @pytest.mark.parametrize("lib", LIBS)
    def test_no_torch_load_eval_or_exec(self, lib: str) -> None:
        wrong = [
            f"{name}:{node.lineno} {ast.unparse(node)}"
            for name, tree in sources(lib).items()
            for node in ast.walk(tree)
            if runs_code(node) and not (lib == "EARTrainingLib" and id(node) in reads_weights_only(tree))
        ]
        assert not wrong

    def test_only_tensors_is_said_out_loud(self) -> None:
        good, bad = ast.parse("torch.load(p, weights_only=True)"), ast.parse("torch.load(p, weights_only=safe)")
        assert len(reads_weights_only(good)) == 1
        assert not reads_weights_only(bad)

    @pytest.mark.parametrize(
        "line", ["eval(x)", "exec(x)", "torch.load(p)", "np.load(p, allow_pickle=True)", "read = torch.load"]
    )
    def test_would_see(self, line: str) -> None:
        assert any(runs_code(node) for node in ast.walk(ast.parse(line)))

    @pytest.mark.parametrize("line", ["model.eval()", "np.load(p)", "safetensors.torch.load(data)", "re.compile(p)"])
    def test_would_not_see(self, line: str) -> None:
        assert not any(runs_code(node) for node in ast.walk(ast.parse(line)))


def reads_weights_only(tree: ast.AST) -> set[int]:
    """Ids of the `torch.load` in calls with a literal weights_only=True: such a call reads tensors and nothing else."""
    return {
        id(node.func)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "weights_only" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
    }


def runs_code(node: ast.AST) -> bool:
    """Whether a syntax node runs text or lets a file run code."""
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) in ("torch.load", "joblib.load", "builtins.eval", "builtins.exec")
    if isinstance(node, ast.keyword):
        return node.arg == "allow_pickle" and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    return isinstance(node, ast.Name) and node.id in ("eval", "exec")


class TestReadability:
    """What a reader may count on."""

    @pytest.mark.parametrize("lib", LIBS)
    def test_everything_public_has_a_docstring(self, lib: str) -> None:
        without = []
        for name, tree in sources(lib).items():
            if not ast.get_docstring(tree):
                without.append(name)
            without += [
                f"{name}:{node.lineno} {node.name}"
                for node in tree.body
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ]
        assert not without

    @pytest.mark.parametrize("lib", LIBS)
    def test_no_file_is_longer_than_a_reader_can_hold(self, lib: str) -> None:
        lengths = {
            path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
            for path in LIBS[lib].rglob("*.py")
        }
        assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE_LINES}

    @pytest.mark.parametrize("lib", LIBS)
    def test_every_folder_with_python_is_a_package(self, lib: str) -> None:
        """Else neither the wheel's nor Slicer's import finds it the same way."""
        folders = {path.parent for path in LIBS[lib].rglob("*.py")}
        assert not [folder.relative_to(ROOT).as_posix() for folder in folders if not (folder / "__init__.py").is_file()]
