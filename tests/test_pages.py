"""The pages and slides as files: complete, linked, self-contained, and made for everyone."""

import re
from html.parser import HTMLParser

import nbformat
import pytest

from helpers.chapters import CHAPTERS
from helpers.pages import HERE, write_site, write_slides

IDS = [chapter.stem for chapter in CHAPTERS]


class Page(HTMLParser):
    """What a test looks at: ids, links and sources, pictures, headings."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.sources, self.alts, self.levels = set(), [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("img", "script", "link"):
            self.sources.append(found.get("src") or found.get("href") or "")
        if tag == "img":
            self.alts.append(found.get("alt", ""))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))


@pytest.fixture(scope="module", params=[write_site, write_slides], ids=["site", "slides"])
def pages(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    (folder / "left-over.html").write_text("from an older run")
    written = request.param(folder)
    assert not (folder / "left-over.html").exists()
    return {path.name: (path, Page(path.read_text("utf-8"))) for path in written}


def test_there_is_a_page_for_every_chapter_and_a_first_one(pages):
    assert set(pages) == {"index.html", *(f"{stem}.html" for stem in IDS)}
    assert pages["index.html"][1].links == [f"{stem}.html" for stem in IDS]


def test_every_link_leads_somewhere(pages):
    for name, (path, page) in pages.items():
        for link in page.links:
            file, _, anchor = link.partition("#")
            if re.match("https?://", file):
                continue  # a link to read on may lead out; nothing is loaded from there
            target = pages.get(file or name)
            assert target, f"{name}: {link}"
            assert not anchor or anchor in target[1].ids, f"{name}: {link}"


def test_nothing_is_loaded_but_files_beside_it(pages):
    for name, (path, page) in pages.items():
        for source in page.sources:
            assert source.startswith("data:image/") or (path.parent / source).is_file(), f"{name}: {source[:80]}"


def test_every_picture_has_words_for_those_who_do_not_see_it(pages):
    for name, (_, page) in pages.items():
        for alt in page.alts:
            assert len(alt.split()) >= 5, f"{name}: {alt!r}"


def test_solutions_and_checks_are_folded(pages):
    """As in JupyterLab, under their first line."""
    for chapter in CHAPTERS:
        solutions = [cell for cell in nbformat.read(chapter.path, as_version=4).cells if "solution" in cell.metadata.get("tags", [])]
        text = pages[f"{chapter.stem}.html"][0].read_text("utf-8")
        assert text.count("<summary>Solution</summary>") == len(solutions), chapter.stem
        assert text.count("<summary>Check: run me after your answer</summary>") == len(solutions), chapter.stem


def test_headings_have_no_gaps(pages):
    for name, (_, page) in pages.items():
        assert page.levels.count(1) == 1 and page.levels[0] == 1, name
        assert all(later <= earlier + 1 for earlier, later in zip(page.levels, page.levels[1:])), name


@pytest.mark.parametrize("chapter", CHAPTERS, ids=IDS)
def test_every_chart_of_a_chapter_says_in_its_metadata_what_it_shows(chapter):
    """The output's own, which the glass pipeline writes, or the cell's."""
    for cell in nbformat.read(chapter.path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt") or cell.metadata.get("alt", "")
                assert len(alt.split()) >= 8, cell.source


def luminance(colour):
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[place:place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("background", ["paper", "panel"])
@pytest.mark.parametrize("shade", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(shade, background):
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 for every colour of text."""
    colours = {name: pair[shade] for name, *pair in
               re.findall(r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)", (HERE / "style.css").read_text("utf-8"))}
    for name in colours.keys() - {"paper", "panel", "line"}:
        lighter, darker = sorted(map(luminance, (colours[name], colours[background])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, name
