"""What is packaged for 3D Slicer and for pip, against what lies on the disk."""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")
EXTENSION = "EdgeAwareReconstruction"
RAW_URL = "https://raw.githubusercontent.com/SlicerEAR/SlicerEAR/main/"
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
LARGEST_FILE_BYTES = 15_000_000
LARGEST_TREE_BYTES = 60_000_000
# A folder that exists on one machine only; not a part of a relative path or of an address on the web.
MACHINE_PATH = re.compile(rb"(?:(?<![\w./-])|(?<=file://))/(?:home|Users|root|tmp|work)/[\w.${~]|[A-Z]:\\\\?Users\\")


def repository_files() -> Iterator[Path]:
    """Every file of the working tree that .gitignore does not name; needs no git."""
    ignored = [line.strip("/") for line in read(".gitignore").split() if not line.startswith("#")]

    def kept(name: str) -> bool:
        return name != ".git" and not any(fnmatch.fnmatch(name, pattern) for pattern in ignored)

    for folder, folders, names in os.walk(ROOT):
        folders[:] = filter(kept, folders)
        yield from (Path(folder, name) for name in names if kept(name))


def read(name: str) -> str:
    """A text file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def found(pattern: str, name: str) -> str:
    """What the group of ``pattern`` holds in the file ``name``."""
    match = re.search(pattern, read(name), re.MULTILINE)
    assert match, f"{name} has no line like {pattern}"
    return match[1]


def cmake_list(module: str, variable: str) -> list[str]:
    """The file names of one list of a module's CMakeLists.txt."""
    body = found(rf"^set\({variable}\n([^)]*)\)", f"{module}/CMakeLists.txt")
    return [line.strip().replace("${MODULE_NAME}", module) for line in body.splitlines() if line.strip()]


def listed(module: str) -> list[str]:
    """All file names of a module's CMakeLists.txt."""
    return cmake_list(module, "MODULE_PYTHON_SCRIPTS") + cmake_list(module, "MODULE_PYTHON_RESOURCES")


@pytest.fixture(scope="module")
def update_cmake_lists() -> ModuleType:
    """The script that writes the CMake lists."""
    spec = util.spec_from_file_location("update_cmake_lists", ROOT / "scripts" / "update_cmake_lists.py")
    assert spec is not None
    assert spec.loader is not None
    script = util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


class TestCMakeLists:
    """EARReconstruction/CMakeLists.txt and EARTraining/CMakeLists.txt."""

    @pytest.mark.parametrize("module", MODULES)
    def test_names_every_file(self, module: str) -> None:
        folder = ROOT / module
        wanted = {
            path.relative_to(folder).as_posix()
            for path in repository_files()
            if path == folder / f"{module}.py"
            or (folder / f"{module}Lib") in path.parents
            or (folder / "Resources") in path.parents
        }
        missing = sorted(wanted - set(listed(module)))
        assert not missing, "not packaged; run python scripts/update_cmake_lists.py:\n  " + "\n  ".join(missing)

    @pytest.mark.parametrize("module", MODULES)
    def test_names_no_file_that_is_not_there(self, module: str) -> None:
        gone = [name for name in listed(module) if not (ROOT / module / name).is_file()]
        assert not gone, "listed and gone; run python scripts/update_cmake_lists.py:\n  " + "\n  ".join(gone)

    @pytest.mark.parametrize("module", MODULES)
    def test_python_files_are_scripts_and_the_rest_resources(self, module: str) -> None:
        assert all(name.endswith(".py") for name in cmake_list(module, "MODULE_PYTHON_SCRIPTS"))
        assert not any(name.endswith(".py") for name in cmake_list(module, "MODULE_PYTHON_RESOURCES"))

    @pytest.mark.parametrize("module", MODULES)
    def test_has_no_name_twice_and_none_that_cmake_would_split(self, module: str) -> None:
        names = listed(module)
        assert len(names) == len(set(names))
        assert all(re.fullmatch(r"[\w./-]+", name) for name in names), "spaces, brackets and ; need quotes in CMake"

    def test_both_modules_can_be_installed_into_one_folder(self) -> None:
        """Slicer puts both into one folder, on some systems without regard to case."""
        first, second = ({name.lower() for name in listed(module)} for module in MODULES)
        assert not first & second

    @pytest.mark.parametrize("module", MODULES)
    def test_icons_and_panels_carry_the_module_name(self, module: str) -> None:
        shared = [name for name in listed(module) if name.startswith(("Resources/Icons/", "Resources/UI/"))]
        assert all(Path(name).name.startswith(module) for name in shared), shared

    def test_script_writes_what_lies_on_the_disk(self, update_cmake_lists: ModuleType, tmp_path: Path) -> None:
        lib = tmp_path / "EARTraining" / "EARTrainingLib"
        (lib / "__pycache__").mkdir(parents=True)
        for name in ("b.py", "a.py", "table.csv", ".hidden", "__pycache__/a.pyc"):
            (lib / name).touch()
        scripts, resources = update_cmake_lists.module_files("EARTraining", tmp_path)
        assert scripts == ["EARTrainingLib/a.py", "EARTrainingLib/b.py"]
        assert resources == ["EARTrainingLib/table.csv"]
        old = "set(MODULE_PYTHON_SCRIPTS\n  gone.py\n  )\n\nset(MODULE_PYTHON_RESOURCES\n  )\n"
        new = update_cmake_lists.updated(old, scripts, resources)
        assert new == (
            "set(MODULE_PYTHON_SCRIPTS\n  EARTrainingLib/a.py\n  EARTrainingLib/b.py\n  )\n\n"
            "set(MODULE_PYTHON_RESOURCES\n  EARTrainingLib/table.csv\n  )\n"
        )
        assert update_cmake_lists.updated(new, scripts, resources) == new


class TestExtension:
    """The extension's CMakeLists.txt, its entry for the Extensions Index, and what both promise."""

    entry = json.loads(read(f"{EXTENSION}.json"))

    def test_entry_has_the_name_of_the_project(self) -> None:
        assert found(r"project\s*\(\s*([^\s)]+)", "CMakeLists.txt") == EXTENSION

    def test_entry_agrees_with_cmake(self) -> None:
        depends = found(r'^set\(EXTENSION_DEPENDS "([^"]*)"\)$', "CMakeLists.txt")
        assert self.entry["build_dependencies"] == depends.split() == ["PyTorch"]
        category = found(r'^set\(EXTENSION_CATEGORY "([^"]*)"\)$', "CMakeLists.txt")
        assert self.entry["category"] == category == "Tomographic Reconstruction"
        assert self.entry["scm_url"] == found(r'^set\(EXTENSION_HOMEPAGE "([^"]*)"\)$', "CMakeLists.txt")

    def test_entry_fits_the_schema_of_the_index(self) -> None:
        """Schema v1.0.1: three keys required, no others than these."""
        required = {"$schema", "category", "scm_url"}
        optional = {"build_dependencies", "build_subdirectory", "enabled", "scm_revision", "scm_type", "tier"}
        assert required <= self.entry.keys() <= required | optional
        assert self.entry["$schema"].endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
        assert self.entry["tier"] in (1, 3, 5)
        assert self.entry["scm_url"].startswith("https://")
        assert "slicer" in self.entry["scm_url"].rsplit("/", 1)[1].lower()
        assert b"\r" not in (ROOT / f"{EXTENSION}.json").read_bytes()

    @pytest.mark.parametrize("variable", ["EXTENSION_ICONURL", "EXTENSION_SCREENSHOTURLS"])
    def test_pictures_are_named_as_the_index_reads_them_and_are_there(self, variable: str) -> None:
        """The Index searches for exactly ``set(NAME "...")``, with no comment and no space before the bracket."""
        lines = [line for line in read("CMakeLists.txt").splitlines() if variable in line]
        assert len(lines) == 1
        match = re.fullmatch(rf'set\({variable} "([^"]+)"\)', lines[0])
        assert match, lines[0]
        for url in match[1].split(" "):
            assert url.startswith(RAW_URL)
            path = ROOT / url.removeprefix(RAW_URL)
            assert path.is_file(), f"{variable} names {path.relative_to(ROOT)}, which is not there"
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"

    def test_icon_is_128_pixels_wide_and_high(self) -> None:
        header = (ROOT / "Resources" / "Icons" / f"{EXTENSION}.png").read_bytes()[16:24]
        assert [int.from_bytes(header[i : i + 4], "big") for i in (0, 4)] == [128, 128]

    def test_every_module_is_built(self) -> None:
        assert re.findall(r"^add_subdirectory\((\w+)\)$", read("CMakeLists.txt"), re.MULTILINE) == list(MODULES)
        for module in MODULES:
            assert found(r"^set\(MODULE_NAME (\w+)\)$", f"{module}/CMakeLists.txt") == module


class TestRepository:
    """What holds for every file."""

    def test_version_is_the_same_everywhere(self) -> None:
        versions = {
            "pyproject.toml": found(r'^version = "([^"]+)"$', "pyproject.toml"),
            "CITATION.cff": found(r"^version: (\S+)$", "CITATION.cff"),
            "CHANGELOG.md": found(r"^## (\d\S*)", "CHANGELOG.md"),
            "EARReconstructionLib": found(
                r'^__version__ = "([^"]+)"$', "EARReconstruction/EARReconstructionLib/__init__.py"
            ),
        }
        assert len(set(versions.values())) == 1, versions

    def test_licence_is_apache_2(self) -> None:
        blank = read("LICENSE.txt").replace("2026 the SlicerEAR developers", "[yyyy] [name of copyright owner]")
        assert hashlib.sha256(blank.encode()).hexdigest() == APACHE_2_SHA256
        assert "Apache-2.0" in found(r"^license = (.+)$", "pyproject.toml")
        assert found(r"^license: (\S+)$", "CITATION.cff") == "Apache-2.0"

    def test_is_small(self) -> None:
        """The Extensions Index refuses a clone above 100 MB with its history."""
        sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in repository_files()}
        assert not {name: size for name, size in sizes.items() if size > LARGEST_FILE_BYTES}
        assert sum(sizes.values()) < LARGEST_TREE_BYTES

    def test_names_no_folder_of_one_machine(self) -> None:
        hits = [
            f"{path.relative_to(ROOT)}: {match[0]!r}"
            for path in repository_files()
            for match in MACHINE_PATH.finditer(path.read_bytes())
        ]
        assert not hits, "\n".join(hits)

    @pytest.mark.parametrize("start", ["/ho" + "me/", "host:/ro" + "ot/", "file:///t" + "mp/", "C:\\Us" + "ers\\"])
    def test_would_see_a_folder_of_one_machine(self, start: str) -> None:
        assert MACHINE_PATH.search(f"path = '{start}someone/data'".encode())

    @pytest.mark.parametrize("text", ["https://example.org/ho" + "me/page", "a/ro" + "ot/b", "the /t" + "mp folder"])
    def test_would_not_see_one_in_an_address(self, text: str) -> None:
        assert not MACHINE_PATH.search(text.encode())

    def test_python_files_can_be_read_by_the_oldest_python(self) -> None:
        oldest = int(found(r'^requires-python = ">=3\.(\d+)', "pyproject.toml"))
        for path in repository_files():
            if path.suffix == ".py":
                ast.parse(path.read_text(encoding="utf-8"), path.as_posix(), feature_version=(3, oldest))


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a wheel built from this tree."""
    wheel = pytest.importorskip("hatchling.builders.wheel")
    folder = tmp_path_factory.mktemp("wheel")
    (artifact,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(artifact) as archive:
        return set(archive.namelist())


class TestWheel:
    """What `pip install` brings."""

    @pytest.mark.parametrize("module", MODULES)
    def test_holds_all_of_the_lib(self, names: set[str], module: str) -> None:
        """Tables included."""
        wanted = {name for name in listed(module) if name.startswith(f"{module}Lib/")}
        assert wanted
        assert wanted <= names

    @pytest.mark.parametrize("folder", ["Models", "SampleCase"])
    def test_holds_models_and_sample_case(self, names: set[str], folder: str) -> None:
        wanted = {name for name in listed("EARReconstruction") if name.startswith(f"Resources/{folder}/")}
        assert wanted
        assert {f"EARReconstructionLib/{name}" for name in wanted} <= names

    def test_holds_the_command_and_nothing_besides(self, names: set[str]) -> None:
        assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {f"{m}Lib" for m in MODULES}
        assert any(name.endswith(".dist-info/entry_points.txt") for name in names)
