"""Tables of text as Markdown and LaTeX, and files of text. ``**bold**`` is understood in cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from EARReconstructionLib.volume_io import written_whole

_LATEX_SIGNS = {
    **{sign: rf"\{sign}" for sign in "&%_#${}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "\N{MINUS SIGN}": "$-$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "→": r"$\to$",
}


@dataclass(frozen=True)
class TextTable:
    """header and rows: cells of text. quoted: rows from elsewhere, below a line. The first column is to the left."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    quoted: Sequence[Sequence[str]] = ()

    def markdown(self) -> str:
        """Title and table."""
        lines = [self.header, ["---", *["---:"] * (len(self.header) - 1)], *self.rows, *self.quoted]
        table = "\n".join("| " + " | ".join(text.replace("|", r"\|") for text in line) + " |" for line in lines)
        return f"## {self.title}\n\n{table}"

    def latex(self) -> str:
        r"""For \usepackage{booktabs}, its title as a comment."""
        ruled = [r"\midrule", *map(_line, self.quoted)] if self.quoted else []
        return "\n".join(
            [
                f"% {self.title}",
                rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}",
                r"\toprule",
                _line(self.header),
                r"\midrule",
                *map(_line, self.rows),
                *ruled,
                r"\bottomrule",
                r"\end{tabular}",
            ]
        )


def document(heading: str, tables: Sequence[TextTable], notes: Sequence[str], more: Sequence[str] = ()) -> str:
    """Markdown of tables, what they mean, and further paragraphs."""
    parts = [f"# {heading}", *(table.markdown() for table in tables), "\n".join(f"- {note}" for note in notes), *more]
    return "\n\n".join(parts) + "\n"


def latex_document(tables: Sequence[TextTable], notes: Sequence[str]) -> str:
    r"""LaTeX of tables, what they mean as comments."""
    head = "\n".join([r"% Needs \usepackage{booktabs}.", *(f"% {note}" for note in notes)])
    return "\n\n".join([head, *(table.latex() for table in tables)]) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole, or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex, cells)) + r" \\"


def _latex(text: str) -> str:
    escaped = "".join(_LATEX_SIGNS.get(sign, sign) for sign in text)
    return re.sub(r"\*\*(.+?)\*\*", r"\\textbf{\1}", escaped)
