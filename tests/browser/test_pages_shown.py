"""The site and the slides in a real browser: they work from a file, by keyboard, in light and dark, and a room can read them."""

import pytest

from helpers.chapters import CHAPTERS
from helpers.pages import write_site, write_slides

SMALLEST = 17  # pixels of type on a slide of 1080 lines: a letter a hundredth of the picture's height can be read from the last row
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.stem for chapter in CHAPTERS])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    return folder


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    write_slides(folder)
    return folder


def test_a_reader_walks_from_the_first_page_to_the_last_chapter_and_nothing_is_missing(site, page):
    page.goto((site / "index.html").as_uri())
    page.get_by_role("link", name="Start here").click()
    for chapter in CHAPTERS[1:]:
        page.get_by_role("navigation", name="Neighbours").locator("a[rel=next]").click()
        page.wait_for_url(f"**/{chapter.stem}.html", wait_until="load")
        assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.problems == []


def test_a_wide_page_needs_no_sideways_scrolling_and_neither_does_a_narrow_one(site, page):
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((site / "05_firehose_lambda.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_alone_reaches_the_chapter_and_changes_the_colours(site, page):
    page.emulate_media(color_scheme="light")
    page.goto((site / "01_orders_table.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the chapter"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(page.locator("a, button, summary, pre[tabindex]").count()):
        if page.evaluate("document.activeElement.matches('button.theme')"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (light, dark) == ("rgb(255, 255, 255)", "rgb(18, 24, 31)")


def test_it_is_dark_where_the_system_is(site, page):
    page.emulate_media(color_scheme="dark")
    page.goto((site / "index.html").as_uri())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 24, 31)"


@each_chapter
def test_the_keys_lead_through_all_slides_and_their_type_is_large(slides, page, chapter):
    page.goto((slides / f"{chapter.stem}.html").as_uri())
    count = page.locator("section").count()
    for number in range(1, count + 1):
        assert page.locator("section.now").count() == 1
        assert page.locator("section.now").get_attribute("id") == str(number)
        smallest = page.evaluate("Math.min(...[...document.querySelectorAll('section.now :is(p, li, td, th, pre)')]"
                                 ".filter((text) => text.textContent.trim()).map((text) => parseFloat(getComputedStyle(text).fontSize)))")
        assert smallest >= SMALLEST, f"slide {number}"
        page.keyboard.press("ArrowRight")
        if number < count:
            page.wait_for_function(f"document.querySelector('section.now').id === '{number + 1}'")
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('section.now').id === '1'")
    assert page.problems == []
