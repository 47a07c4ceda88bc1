"""A page on paper: A4, written beside the page; the decision on one sheet."""

import logging
from pathlib import Path
from typing import Any

from capacity.document import read_text, write_bytes
from capacity.errors import UsageError

FILE = "report.pdf"
ON_ONE_SHEET = frozenset({"decision"})
_SIZES_PT = (10.0, 9.0, 8.0, 7.0, 6.0)
_SHEET = "@page { size: A4; margin: 11mm 12mm } figure details { display: none }"
_TIGHT = """
body {{ font-size: {size}pt; line-height: 1.3 }} table {{ font-size: 0.9em }} footer details {{ display: none }}
h1 {{ font-size: 1.4em; margin: 0 }} h2 {{ font-size: 1.1em; margin: 0.7em 0 0.2em }} p, ul {{ margin: 0.25em 0 }}
.verdict {{ margin: 0.4em 0; font-size: 1.1em }} th, td {{ padding: 0.12em 0.6em 0.12em 0 }}
figure {{ margin: 0.2em 0 }} figure img {{ max-height: {height}mm }} footer {{ margin: 0; border: 0 }}
"""


def write_pdf(folder: Path, *, report: str) -> Path:
    """Write a report's page as ``report.pdf`` beside it.

    Parameters
    ----------
    folder
        Of a finished run; holds ``index.html``.
    report
        Its name: the decision is set as large as one sheet takes, down to 6 points.

    Raises
    ------
    UsageError
        If WeasyPrint is not installed.
    """
    page = folder / "index.html"
    sizes = _SIZES_PT if report in ON_ONE_SHEET else _SIZES_PT[:1]
    for size in sizes:
        document = _lay_out(page, _TIGHT.format(size=size, height=5.5 * size) if report in ON_ONE_SHEET else "")
        if len(document.pages) == 1:
            break
    target = folder / FILE
    write_bytes(target, document.write_pdf())
    return target


def _lay_out(page: Path, style: str) -> Any:
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise UsageError(
            f"a PDF needs WeasyPrint, which is not there ({error})",
            remedy="install it with: pip install 'capacity[pdf]'",
        ) from None
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it names every property of a screen that paper has not
    text = read_text(page, name=str(page)).replace("</head>", f"<style>{_SHEET}{style}</style></head>", 1)
    made: Any = weasyprint.HTML
    return made(string=text, base_url=str(page)).render()
