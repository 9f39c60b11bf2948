"""What the Slicer Extensions Index asks of an extension, beyond the lists and pictures of test_packaging.py.

The rules are those of Slicer/ExtensionsIndex: its script check_description_files.py, and the checklists for tiers 1
and 3 in its pull request template. What only GitHub knows stands in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTENSION = "EdgeAwareReconstruction"
TITLES = {"EARReconstruction": "EAR Reconstruction", "EARTraining": "EAR Training"}
LARGEST_CLONE_BYTES = 100_000_000
LARGEST_PICTURE_BYTES = 300_000
WIDEST_PICTURE_PX = 2000
# What Slicer's Python has when it starts; everything else is imported at the click.
SLICER_SHIPS = {"slicer", "vtk", "vtkmodules", "qt", "ctk", "numpy", "scipy", "SimpleITK", "pydicom", "requests"}


def read(name: str) -> str:
    """A text file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def cmake(variable: str) -> str:
    """What the extension's CMakeLists.txt sets; the Index looks for exactly this form."""
    found = re.findall(rf'^set\({variable} "([^"]+)"\)$', read("CMakeLists.txt"), re.MULTILINE)
    assert len(found) == 1, variable
    return found[0]


class TestEntry:
    """EdgeAwareReconstruction.json."""

    text = read(f"{EXTENSION}.json")
    entry = json.loads(text)

    def test_name(self) -> None:
        assert not EXTENSION.lower().startswith("slicer")
        assert self.entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")

    def test_form(self) -> None:
        """Two spaces, lists over lines, keys in order, as the Index's own formatter leaves it."""
        assert self.text == json.dumps(self.entry, indent=2, sort_keys=True) + "\n"

    def test_values_are_of_the_kinds_of_the_schema(self) -> None:
        assert all(isinstance(name, str) and name for name in self.entry["build_dependencies"])
        assert type(self.entry["tier"]) is int
        assert all(isinstance(self.entry[key], str) for key in self.entry if key not in ("build_dependencies", "tier"))

    def test_revision_is_a_branch(self) -> None:
        """A fixed commit would have to be submitted again with every change."""
        assert self.entry["scm_revision"] == "main"


class TestCMake:
    """The extension's CMakeLists.txt and those of the modules."""

    @pytest.mark.parametrize(
        "name", ["HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"]
    )
    def test_says(self, name: str) -> None:
        assert cmake(f"EXTENSION_{name}")

    def test_nothing_but_the_project_is_called_project(self) -> None:
        """The Index takes the first ``project(`` that it finds, in a comment too."""
        assert re.findall(r"project\s*\(\s*([^\s)]+)", read("CMakeLists.txt"), re.IGNORECASE) == [EXTENSION]

    def test_description(self) -> None:
        description = cmake("EXTENSION_DESCRIPTION")
        assert 1 <= len(re.findall(r"\.(?= |$)", description)) <= 2, "one or two sentences"
        assert "not for clinical use" in description
        assert ";" not in description, "separates the items of a CMake list"

    def test_order(self) -> None:
        """Slicer's files are included before the modules, the package is made after them."""
        wanted = (
            "find_package(Slicer REQUIRED)",
            "include(${Slicer_USE_FILE})",
            "add_subdirectory(EARReconstruction)",
            "add_subdirectory(EARTraining)",
            "include(${Slicer_EXTENSION_GENERATE_CONFIG})",
            "include(${Slicer_EXTENSION_CPACK})",
        )
        lines = read("CMakeLists.txt").splitlines()
        places = [lines.index(line) for line in wanted]
        assert places == sorted(places)

    @pytest.mark.parametrize("module", TITLES)
    def test_every_module_has_tests(self, module: str) -> None:
        text = read(f"{module}/CMakeLists.txt")
        assert re.search(r"slicerMacroBuildScriptedModule\([^)]*\n  WITH_GENERIC_TESTS\n  \)", text)
        assert "slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)" in text


class TestModuleFiles:
    """EARReconstruction.py and EARTraining.py, which Slicer imports at its start."""

    @pytest.mark.parametrize("module", TITLES)
    def test_nothing_runs_when_it_is_imported(self, module: str) -> None:
        for node in ast.parse(read(f"{module}/{module}.py")).body:
            what = f"{module}.py:{node.lineno} {ast.unparse(node)[:60]}"
            if isinstance(node, ast.Assign | ast.AnnAssign):
                calls = {ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
                assert calls <= {"Path", "Path.home"}, what
            elif isinstance(node, ast.Expr):
                assert isinstance(node.value, ast.Constant), what
            else:
                assert isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef), what

    @pytest.mark.parametrize("module", TITLES)
    def test_imports_what_slicer_ships(self, module: str) -> None:
        allowed = SLICER_SHIPS | sys.stdlib_module_names | {"EARReconstructionLib", "EARTrainingLib"}
        for node in ast.parse(read(f"{module}/{module}.py")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.partition(".")[0] for name in names} <= allowed, f"{module}.py:{node.lineno}"

    @pytest.mark.parametrize("module", TITLES)
    def test_introduces_itself(self, module: str) -> None:
        text = read(f"{module}/{module}.py")
        assert f'self.parent.title = _("{TITLES[module]}")' in text
        assert json.loads(read(f"{EXTENSION}.json"))["category"] in text
        for fact in ("contributors", "helpText", "acknowledgementText"):
            assert f"self.parent.{fact} = " in text
        assert "not for clinical use" in text
        assert f"class {module}Test(ScriptedLoadableModuleTest)" in text

    def test_pytorch_comes_through_its_extension(self) -> None:
        """pip alone would fetch a build that does not fit the graphics card."""
        for path in (*ROOT.glob("EAR*/EAR*.py"), *ROOT.glob("EAR*/EAR*Lib/**/*.py")):
            assert not re.search(r"pip_\w+\(\s*\[?[\"'](torch|monai|lightning)", path.read_text(encoding="utf-8")), path


class TestReadme:
    """The homepage."""

    text = read("README.md")

    def test_begins_with_name_and_what_it_is_for(self) -> None:
        assert self.text.startswith("# SlicerEAR\n\n**")
        assert len(self.text.split("\n\n")[1].split()) < 120

    def test_shows_a_picture(self) -> None:
        assert re.search(r"!\[[^\]]{20,}\]\(Resources/Screenshots/\w+\.png\)", self.text)

    @pytest.mark.parametrize("title", TITLES.values())
    def test_says_a_sentence_about_each_module(self, title: str) -> None:
        assert re.search(rf"^- \*\*{title}\*\* [^.]+(?:\n  [^.]+)*\.", self.text, re.MULTILINE)

    @pytest.mark.parametrize(
        "needed",
        [
            "not a medical device",
            "Extensions Manager",
            "docs/tutorial.md",
            "Sample Data",
            "https://arxiv.org/abs/2407.20937",
            "Apache-2.0",
            "CITATION.cff",
            "## Troubleshooting",
        ],
    )
    def test_says(self, needed: str) -> None:
        assert needed in self.text

    def test_troubleshooting_has_problem_explanation_solution(self) -> None:
        section = self.text.partition("## Troubleshooting\n")[2].partition("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("|")]
        assert rows[0] == "| problem | explanation | solution |"
        assert len(rows) > 12
        assert all(len(row.strip("|").split(" | ")) == 3 for row in rows[2:]), "three cells, none empty"


class TestDocuments:
    """All Markdown files."""

    files = tuple(path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")))

    @pytest.mark.parametrize("path", files, ids=lambda path: path.name)
    def test_links_lead_somewhere(self, path: Path) -> None:
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if target.startswith(("https://", "mailto:")):
                continue
            name, _, anchor = target.partition("#")
            file = path.parent / name if name else path
            assert file.exists(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}, target

    @pytest.mark.parametrize("path", files, ids=lambda path: path.name)
    def test_pictures_are_described(self, path: Path) -> None:
        assert not re.search(r"!\[\s*\]", path.read_text(encoding="utf-8"))

    def test_tutorial(self) -> None:
        text = read("docs/tutorial.md")
        assert len(re.findall(r"^ *!\[", text, re.MULTILINE)) >= 3, "a few screenshots"
        assert len(re.findall(r"^\d+\. ", text, re.MULTILINE)) >= 8, "step by step"
        assert "*Sample case*" in text

    def test_tutorial_calls_things_by_their_names(self) -> None:
        """What is bold stands on the screen."""
        files = [path for pattern in ("*.py", "*.ui") for path in ROOT.glob(f"EAR*/**/{pattern}")]
        sources = "\n".join(path.read_text(encoding="utf-8") for path in files if "Testing" not in path.parts)
        body = "\n".join(line for line in read("docs/tutorial.md").splitlines() if not line.startswith(">"))
        names = set(re.findall(r"\*\*([^*]+)\*\*", body))
        assert len(names) > 20
        assert not {name for name in names if f">{name}<" not in sources and f'{name}")' not in sources}


class TestPictures:
    """Resources/Screenshots."""

    files = tuple((ROOT / "Resources" / "Screenshots").glob("*"))

    @pytest.mark.parametrize("path", files, ids=lambda path: path.name)
    def test_small(self, path: Path) -> None:
        header = path.read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(header[16:20], "big") <= WIDEST_PICTURE_PX
        assert path.stat().st_size <= LARGEST_PICTURE_BYTES

    @pytest.mark.parametrize("path", files, ids=lambda path: path.name)
    def test_shown_somewhere(self, path: Path) -> None:
        assert any(path.name in file.read_text(encoding="utf-8") for file in TestDocuments.files)


class TestClone:
    """What the Index and its build machines fetch."""

    def test_is_small(self) -> None:
        if not (ROOT / ".git").exists():
            pytest.skip("no clone")
        # What a clone fetches, once: a folder's own packs may hold an object twice, or objects of no commit.
        said = subprocess.run(
            ["git", "rev-list", "--objects", "--disk-usage", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert 0 < int(said) < LARGEST_CLONE_BYTES

    def test_licence_has_the_name_that_the_index_asks_for(self) -> None:
        assert (ROOT / "LICENSE.txt").is_file()

    @pytest.mark.parametrize("needed", ["3d-slicer-extension", "Wiki", "Sample Data"])
    def test_what_only_github_knows_is_written_down(self, needed: str) -> None:
        assert needed in read("CONTRIBUTING.md")
