"""The site and the slides in a real browser: they work from a file, by keyboard, in light and dark, and a room can read them."""

import pytest

from helpers.chapters import CHAPTERS
from helpers.pages import write_site, write_slides

# Pixels of type on a slide of 1080 lines. A small letter of 24 is 13 high (DejaVu Sans, 0.55 of the type): seen from six heights of the
# picture away that is 6.9 minutes of arc, and an eye of normal sight (6/6) needs 5.
SMALLEST = 24
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


@pytest.mark.parametrize("width", [1280, 1000, 400, 320])
def test_no_page_needs_sideways_scrolling_and_no_output_is_cut(site, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for path in site.glob("*.html"):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        assert page.evaluate("[...document.querySelectorAll('.output_area pre')].every((output) => output.scrollWidth <= output.clientWidth)"), \
            path.name


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


def shown(page):
    """The slide that is on the screen: its number, and what a test asks of it."""
    return page.evaluate("""() => {
        const slide = document.querySelector("section.now"), blocks = [...slide.firstElementChild.children];
        const texts = [...slide.querySelectorAll("p, li, td, th, pre, code, summary")].filter((text) => text.textContent.trim());
        return {
            number: Number(slide.id),
            alone: document.querySelectorAll("section.now").length === 1,
            smallest: Math.min(...texts.map((text) => parseFloat(getComputedStyle(text).fontSize))),
            long: slide.offsetHeight > innerHeight,
            below: scrollY + innerHeight < document.documentElement.scrollHeight - 2,
            besides: blocks.filter((block) => !block.matches("h1, h2, h3, h4")).length,
            top: scrollY,
            aside: [...slide.querySelectorAll("*")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1).length,
        };
    }""")


@pytest.mark.parametrize("size", [(1920, 1080), (1024, 768)], ids=["16:9", "4:3"])
@each_chapter
def test_the_keys_lead_through_all_slides_which_a_room_can_read(slides, page, chapter, size):
    """What a slide shows is large and whole. Only what cannot be cut, such as one long output, is longer; the keys scroll through it."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.goto((slides / f"{chapter.stem}.html").as_uri())
    count = page.locator("section").count()
    for number in range(1, count + 1):
        slide = shown(page)
        assert slide["alone"] and slide["number"] == number
        assert slide["smallest"] >= SMALLEST * min(size[1] / 1080, size[0] / 1920), slide
        assert slide["aside"] == 0, slide
        assert not slide["long"] or slide["besides"] == 1, slide
        assert page.locator("body.more").count() == slide["long"]
        while slide["below"]:
            page.keyboard.press("ArrowRight")
            before, slide = slide, shown(page)
            assert slide["number"] == number and slide["top"] > before["top"], "all of it is seen before the next"
        page.keyboard.press("ArrowRight")
    assert page.problems == []
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('section.now').id === '1'")


@each_chapter
def test_slides_are_the_chapter_whole_and_in_its_order(slides, page, chromium, chapter):
    address = (slides / f"{chapter.stem}.html").as_uri()
    page.goto(address)
    laid_out = page.evaluate("[...document.querySelectorAll('section > div')].map((slide) => slide.textContent).join('')")
    plain = chromium.new_context(java_script_enabled=False)
    try:
        reader = plain.new_page()
        reader.goto(address)
        assert "".join(laid_out.split()) == "".join(reader.locator("main").text_content().split())
    finally:
        plain.close()


def test_the_keys_go_on_after_a_hint_was_opened_and_the_colours_were_changed(slides, page):
    page.goto((slides / "01_orders_table.html").as_uri())
    number = page.locator("section", has=page.locator("summary", has_text="Hint")).first.get_attribute("id")
    page.evaluate("(number) => location.replace('#' + number)", number)
    page.locator("section.now summary", has_text="Hint").first.click()
    assert page.locator("section.now details[open]").count() == 1
    page.keyboard.press("Space")  # the hint's own key
    assert page.locator("section.now details[open]").count() == 0
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('section.now').id === document.querySelector('section:last-of-type').id")
    page.keyboard.press("Home")
    page.get_by_role("button", name="Change to dark colours").click()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('section.now').id === '2'")


def test_another_screen_keeps_the_place_and_lays_the_slides_out_anew(slides, page):
    page.goto((slides / "05_firehose_lambda.html").as_uri() + "#20")
    first = "document.querySelector('section.now > div > *').textContent"
    words = page.evaluate(first)
    page.evaluate("document.querySelector('section').old = true")
    page.set_viewport_size({"width": 1000, "height": 1000})
    page.wait_for_function("!document.querySelector('section').old")
    assert words in page.evaluate("document.querySelector('section.now > div').textContent")
    assert not shown(page)["long"]
