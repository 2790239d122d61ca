"""Pages of the site that live elsewhere in the repository, where people look for them first.

README.md, CONTRIBUTING.md, CHANGELOG.md and the READMEs of the examples and the recipes become pages of their own. Links from and
to them are written as they hold in the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FOLDERS = ("examples", "recipes")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def pages(root: Path) -> dict[str, str]:
    """The page of the site, relative to ``docs/``, of each file, relative to the root."""
    found = [file.relative_to(root).as_posix() for folder in FOLDERS for file in (root / folder).glob("*/README.md")]
    return PAGES | {file: file.replace("/README.md", ".md") for file in found}


def page_at(target: str, moved: dict[str, str]) -> str | None:
    """Where a file of the repository stands in the site; None if it is no page."""
    return moved.get(target) or (target.removeprefix("docs/") if target.startswith("docs/") else None)


def relinked(text: str, source: str, moved: dict[str, str]) -> str:
    """A page with links that hold in the site; ``source`` is its file in the repository."""
    here = posixpath.dirname(page_at(source, moved) or "")

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        page = page_at(target, moved)
        return match[1] if page is None else posixpath.relpath(page, here or ".")

    return LINK.sub(link, text)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    moved = pages(root)
    for source, page in moved.items():
        text = relinked((root / source).read_text(encoding="utf-8"), source, moved)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the pages of ``docs/`` link to files outside it as on GitHub."""
    if page.file.generated_by:
        return markdown
    return relinked(markdown, f"docs/{page.file.src_uri}", pages(Path(config.config_file_path).parent))
