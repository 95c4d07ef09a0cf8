"""The documentation site: it builds without a warning, loads nothing from elsewhere, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import peftsearch

ROOT = Path(__file__).parents[1]

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data", "link": "href"}
"""An element that a browser loads something for → the attribute that says what."""


ELSEWHERE = re.compile(r"(?!data:)[\w+.-]+:|//")
"""How the address of something on another server begins."""

SOUND = re.compile(r"https?://[\w-]+(\.[\w-]+)+(:\d+)?(/[\w./~%#?=&+:@-]*)?")
"""An address of another server, without spaces, placeholders and left-over punctuation."""


@dataclass
class Page(HTMLParser):
    """What a page loads, what it links to, and what can be linked to in it."""

    loaded: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if LOADED.get(tag) in found and found.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(found[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `scripts/docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page by its address within the site."""
    found = {}
    for file in site.rglob("*.html"):
        page = found[file.relative_to(site).as_posix()] = Page()
        page.feed(file.read_text(encoding="utf-8"))
    return found


def test_every_page_of_the_folder_is_built(pages: dict[str, Page]) -> None:
    docs = ROOT / "docs"
    written = {file.relative_to(docs).with_suffix(".html").as_posix() for file in docs.rglob("*.md")}
    assert len(written) >= 15
    assert written <= set(pages)


def test_no_page_loads_anything_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    loaded = [address for page in pages.values() for address in page.loaded]
    assert len(loaded) >= 3 * len(pages)  # a stylesheet, an icon and a script
    assert [address for address in loaded if ELSEWHERE.match(address)] == []
    text = "".join(file.read_text(encoding="utf-8") for file in (*site.rglob("*.css"), *site.rglob("*.html")))
    in_styles = re.findall(r"(?:url\(|@import )\s*[\"']?([^\"')]*)", text)
    assert len(in_styles) > 10
    assert [address for address in in_styles if ELSEWHERE.match(address)] == []


def test_every_link_within_the_site_leads_to_a_place_of_it(site: Path, pages: dict[str, Page]) -> None:
    within = [(name, urlsplit(link)) for name, page in pages.items() for link in page.links if name != "404.html"]
    for name, link in within:
        if link.scheme:
            continue
        target = ((site / name).parent / unquote(link.path)).resolve() if link.path else site / name
        target = target / "index.html" if target.is_dir() else target
        assert target.is_file(), f"{name} links to {link.path}"
        if link.fragment:
            anchors = pages[target.relative_to(site).as_posix()].anchors
            assert unquote(link.fragment) in anchors, f"{name} links to {link.path}#{link.fragment}"


def test_links_to_elsewhere_have_a_sound_form(pages: dict[str, Page]) -> None:
    found = {link for page in pages.values() for link in page.links if urlsplit(link).scheme}
    assert len(found) >= 20
    assert [link for link in found if not SOUND.fullmatch(link)] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_what_a_page_outside_the_site_names_is_there(name: str) -> None:
    """Links, and the pages of docs/ that stand as code."""
    text = (ROOT / name).read_text(encoding="utf-8")
    named = [*re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text), *re.findall(r"`(docs/[\w/.-]+\.\w+)`", text)]
    assert [path for path in named if not (ROOT / path).is_file()] == []


def documented() -> Iterator[str]:
    """The names that the page of the Python functions shows."""
    for line in (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("::: "):
            yield line.removeprefix("::: peftsearch.")


def test_every_public_name_is_documented_once() -> None:
    own, others = [], []
    for name in documented():
        (others if "." in name else own).append(name)
    assert sorted(own) == sorted(peftsearch.__all__)
    assert len(set(others)) == len(others)


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type", "license"} <= set(cited)
    assert f'version = "{cited["version"]}"' in project
    assert f'license = "{cited["license"]}"' in project
