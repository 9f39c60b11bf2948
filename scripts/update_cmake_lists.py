"""Write the file lists of both modules' CMakeLists.txt from what lies on the disk.

Slicer packages the files that a module's CMake list names, and no others. Run this after adding, renaming or removing
a file of a module; with ``--check`` it changes nothing, prints the lines that differ and returns 1 if there are any.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")


def module_files(module: str, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Python files and resources that Slicer must package, as paths relative to the module's folder, sorted.

    The module file, all of its Lib and all of its Resources; no tests, no caches, no hidden files.
    """
    folder = root / module
    found = [folder / f"{module}.py", *(folder / f"{module}Lib").rglob("*"), *(folder / "Resources").rglob("*")]
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in found
        if path.is_file()
        and path.suffix not in {".pyc", ".pyo"}
        and not any(part == "__pycache__" or part.startswith(".") for part in path.relative_to(folder).parts)
    )
    return [name for name in names if name.endswith(".py")], [name for name in names if not name.endswith(".py")]


def updated(text: str, scripts: list[str], resources: list[str]) -> str:
    """The CMakeLists.txt ``text`` with both lists replaced."""
    for variable, names in (("MODULE_PYTHON_SCRIPTS", scripts), ("MODULE_PYTHON_RESOURCES", resources)):
        lines = "".join(f"  {name}\n" for name in names)
        text, count = re.subn(rf"set\({variable}\n[^)]*\)", lambda _, v=variable, s=lines: f"set({v}\n{s}  )", text)
        if count != 1:
            raise SystemExit(f"CMakeLists.txt: expected one list {variable}, found {count}.")
    return text


def main() -> int:
    """Update both modules, or with ``--check`` only compare them; the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a list is out of date")
    check = parser.parse_args().check
    stale = 0
    for module in MODULES:
        path = ROOT / module / "CMakeLists.txt"
        old = path.read_text(encoding="utf-8")
        new = updated(old, *module_files(module))
        if new == old:
            continue
        stale += 1
        sys.stdout.writelines(
            difflib.unified_diff(old.splitlines(True), new.splitlines(True), path.name, path.name, n=0)
        )
        if not check:
            path.write_text(new, encoding="utf-8")
            print(f"{module}/CMakeLists.txt updated.")
    return int(check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
