"""What the site adds to the pages in this folder: README as the first page, the notebooks, and links within the site.

MkDocs calls `on_files` and `on_page_markdown` (see mkdocs.yml). A link to a file that is no part of the site, such as a
source file or a result file, becomes its text alone, so that every link of the site leads somewhere.
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"(^ *```.*?^ *```$)", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_FORMULA = re.compile(r"(?<![\\$])\$([^$\n]+)\$(?!\$)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README as ``index.md``, and every notebook as a page with its pictures."""
    files.append(File.generated(config, "index.md", content=within_site((ROOT / "README.md").read_text(), "README.md")))
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pictures: dict[str, bytes] = {}
        text = notebook_page(json.loads(notebook.read_text()), notebook.stem, pictures)
        page = f"notebooks/{notebook.stem}.md"
        files.append(File.generated(config, page, content=within_site(text, f"notebooks/{notebook.name}")))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep the links of a page of this folder within the site."""
    if page.file.generated_by is not None:
        return markdown
    return within_site(markdown, f"docs/{page.file.src_uri}")


def within_site(text: str, source: str) -> str:
    """Return a page with its links as the site needs them.

    Args:
        text: in Markdown.
        source: of the page, relative to the root of the repository.
    """

    def replace(match: re.Match[str]) -> str:
        mark, label, target, anchor = match.groups(default="")
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        found = place(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        if found is None:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            return label if label.strip("`/") in path else f"{label} (`{path}`)"
        own = posixpath.dirname(place(source) or "")
        return f"{mark}[{label}]({posixpath.relpath(found, own or '.')}{anchor})"

    return outside_code(text, lambda part: _LINK.sub(replace, part))


def place(path: str) -> str | None:
    """Return where a file of the repository lies in the site; None where it is no part of it.

    Args:
        path: relative to the root of the repository.
    """
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("notebooks/"):
        return path if path.endswith(".png") else f"{posixpath.splitext(path)[0]}.md"
    return None


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return the text with everything outside its fenced blocks changed."""
    return "".join(part if i % 2 else change(part) for i, part in enumerate(_FENCE.split(text)))


def notebook_page(notebook: dict[str, Any], name: str, pictures: dict[str, bytes]) -> str:
    """Return a notebook as Markdown, and put its pictures, by file name, into ``pictures``.

    Args:
        notebook: as its file holds it.
        name: with which the file names of pictures begin.
        pictures: is filled.
    """
    parts: list[str] = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(outside_code(source, lambda text: _FORMULA.sub(lambda found: convert(found[1]), text)))
        elif cell["cell_type"] == "code" and source:
            parts += [f"```python\n{source}\n```", *_shown(cell["outputs"], name, pictures)]
    return "\n\n".join(parts) + "\n"


def _shown(outputs: list[dict[str, Any]], name: str, pictures: dict[str, bytes]) -> Iterator[str]:
    """Yield what a cell has shown: text as it stands, pictures by a link."""
    for output in outputs:
        data = output.get("data", {})
        if "image/png" in data:
            file = f"{name}_{len(pictures) + 1}.png"
            pictures[file] = base64.b64decode("".join(data["image/png"]))
            yield f"![What the cell above draws]({file})"
        elif text := "".join(output.get("text", data.get("text/plain", ""))).rstrip():
            yield f"```text\n{text}\n```"
