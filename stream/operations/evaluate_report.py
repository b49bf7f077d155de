"""Writes an evaluation for people: one HTML page, and its plots as PNG files where matplotlib is installed.

What stands on the page is decided in `serving.evaluation.page`. Called by `tidemark evaluate --report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from serving.evaluation.page import png
from serving.evaluation.page.document import Told, document
from serving.evaluation.page.plots import charts
from stream.operations.evaluate import ModelEvaluation

PAGE: Final = "index.html"


def write_report(to: Path, found: ModelEvaluation) -> list[Path]:
    """Write the page to ``to``, a file ``.html`` or else a folder, and the plots beside it.

    Returns:
        The page, then the plots; none of these without matplotlib.
    """
    page = to if to.suffix == ".html" else to / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    told = [Told(each, found.unseen(each.cutoff)) for each in found.cutoffs]
    unfinished = page.with_name(f".{page.name}.unfinished")
    unfinished.write_text(document(found.card, told, found.missing), encoding="utf-8")
    unfinished.replace(page)
    written = [page]
    for each in found.cutoffs if png.drawable() else ():
        for chart in charts(each.details, each.cutoff) if each.details is not None else ():
            plot = page.with_name(f"{chart.name}.png")
            png.write_png(chart, plot)
            written.append(plot)
    return written
