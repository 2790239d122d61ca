"""Self-contained HTML pages: the templates with what they call, and a file that is written whole or not at all.

A page loads nothing: its style and its script are inline, and its content security policy admits these two by their
hashes and nothing else. No text of a user or a model enters the script. The samples are plain markup that the script only
shows and hides, so that a page can also be read with scripts off; where there are thousands, they are packed instead, see
``samples.pack_samples``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2
import markupsafe

from rmr1.files import write_whole
from rmr1.report import figures, samples
from rmr1.report.charts import VIEW_BOX, draw


def render_page(template: str, styles: tuple[str, ...], script: str | None, **values: object) -> str:
    """Return a page as one HTML document; equal values give equal text.

    Lone surrogates, which models do write and UTF-8 cannot hold, become question marks.

    Args:
        template: Name of the page's template.
        styles: Names of its style sheets, in order.
        script: Name of its script; None for a page without one.
        values: What the template shows.
    """
    text = _environment().get_template(template).render(styles=styles, script_file=script, **values)
    return text.encode("utf-8", "replace").decode("utf-8")


def write_page(text: str, path: Path) -> None:
    """Write a page to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    with write_whole(path) as file:
        file.write(text.encode("utf-8"))


def macro(template: str, name: str) -> Callable[..., str]:
    """A macro of a template, to be called from Python; what it returns is markup whose texts are escaped."""
    found: Callable[..., str] = getattr(_environment().get_template(template).module, name)
    return found


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("rmr1.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(missing=figures.MISSING, view_box=VIEW_BOX)
    environment.filters.update(
        bar=figures.bar,
        blocks=samples.blocks,
        breakable=_breakable,
        change=samples.change,
        chart=draw,
        csp_hash=_csp_hash,
        figure=figures.figure,
        interval=figures.interval,
        is_long=samples.is_long,
        is_tall=samples.is_tall,
        matching=samples.matching,
        numeric_columns=figures.numeric_columns,
        pieces=samples.pieces,
        shown_verdict=samples.shown_verdict,
        vote_rows=samples.vote_rows,
    )
    return environment


def _breakable(key: str) -> markupsafe.Markup:
    """A key that may break after its underscores, and nowhere else inside a word."""
    return markupsafe.Markup("<wbr>").join(markupsafe.escape(part) for part in re.split("(?<=_)", key))


def _csp_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
