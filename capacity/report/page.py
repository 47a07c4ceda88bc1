"""A finished notebook as one page: no code, no script, no address outside itself."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from capacity.display import escape


def environment() -> Environment:
    """Return the templates' environment; everything put into a template is escaped unless it says otherwise."""
    return Environment(loader=PackageLoader("capacity.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def render_page(
    cells: Iterable[Mapping[str, object]],
    *,
    title: str,
    run: Mapping[str, object],
    previous: str | None = None,
    following: str | None = None,
    verdict_before: str | None = None,
    changes: Sequence[str] = (),
) -> str:
    """Render an executed notebook's cells as a self-contained HTML page.

    Parameters
    ----------
    cells
        The notebook's cells; the outputs of code and the text of Markdown are shown, code is not.
    title
        The page's title.
    run
        Its ``run.json``: what it was made from, shown at the end.
    previous, following
        Days of the good runs before and after it, which its page leads to.
    verdict_before, changes
        What the run before said where that is something else, and the numbers that moved since.
    """
    body = [Markup(part) for cell in cells for part in _parts(cell)]  # noqa: S704 - escaped where it was made
    return (
        environment()
        .get_template("page.html")
        .render(
            title=title,
            body=body,
            run=run,
            previous=previous,
            following=following,
            verdict_before=verdict_before,
            changes=list(changes),
        )
    )


def _parts(cell: Mapping[str, object]) -> Iterator[str]:
    if cell["cell_type"] == "markdown":
        yield _markdown("".join(cell["source"]))  # type: ignore[arg-type]
        return
    for output in cell.get("outputs", []):  # type: ignore[attr-defined]
        yield from _output(output)


def _output(output: Mapping[str, object]) -> Iterator[str]:
    data = output.get("data", {})
    if not isinstance(data, Mapping):
        return
    if "text/html" in data:
        yield f'<div class="output">{_text(data["text/html"])}</div>'
    elif "text/plain" in data:
        yield f"<pre>{escape(_text(data['text/plain']))}</pre>"
    elif output.get("name") == "stdout":
        yield f"<pre>{escape(_text(output['text']))}</pre>"


def _text(value: object) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _markdown(source: str) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    return str(
        MarkdownWithMath(
            renderer=IPythonRenderer(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        ).render(source)
    )
