"""The report of a result: one page that a surgeon prints and a researcher archives. It draws, and knows no scene."""

from .page import FILE_NAME, draw_report, write_report

__all__ = ["FILE_NAME", "draw_report", "write_report"]
