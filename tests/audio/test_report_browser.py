"""The review page in a real browser: what a reviewer sees, hears and presses."""

from __future__ import annotations

import html
import shutil
from pathlib import Path

import pytest
from toy_review import MISSED, PASSED, UNJUDGED, Clip, write_run
from toy_tags import write_tag_run

from soundgate.audio.review.page import write

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

LONG = "a class with a very long name that goes on and on/and_has_no_spaces_at_the_end_of_it"
DESKTOP, PHONE, NARROW = (1280, 800), (390, 844), (320, 640)

CHECKS = Path(__file__).with_name("page_checks.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("neither chromium nor google-chrome is on PATH")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def _make(folder, verdicts=(PASSED, MISSED, UNJUDGED), **options):
    write(write_run(folder / "run", **options), folder / "page", verdicts=list(verdicts))
    return folder / "page" / "report.html"


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return _make(tmp_path_factory.mktemp("usual"), quantized=True)


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    """Long names, several labels, 60 classes, missing audio, no history."""
    classes = [LONG, *(f"{k} <i>&' {LONG}" for k in range(59))]
    clips = [Clip(f"audio/{LONG}/{k}/{LONG}.wav", f"s{k}") for k in range(120)]
    folder = tmp_path_factory.mktemp("long")
    options = {"multi_label": True, "history": False, "audio": False, "quantized": True}
    return _make(folder, clips=clips, classes=classes, **options)


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory):
    clips = [Clip(f"audio/{k}.wav") for k in range(800)]
    classes = [f"class {k:03d}" for k in range(200)]
    folder = tmp_path_factory.mktemp("many")
    return _make(folder, clips=clips, classes=classes, audio=False)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """No gate, no champion, one class, nothing wrong."""
    folder = tmp_path_factory.mktemp("bare")
    options = {"classes": ("hum",), "right": 1.0, "champion_right": None, "history": False}
    return _make(folder, (), **options)


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """Eleven labels, one of them without a positive clip, beside a champion."""
    folder = tmp_path_factory.mktemp("tagger")
    folders, _, _ = write_tag_run(folder / "run", clips=24)
    write(folders, folder / "page")
    return folder / "page" / "report.html"


class _Tab:
    """A page that remembers what it said and asked for."""

    def __init__(self, browser, size, scheme="light"):
        width, height = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def open(self, path):
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def tab(browser):
    with _Tab(browser, DESKTOP) as tab:
        yield tab


def _check_audio(frame, count):
    """Every player decodes, and one plays."""
    assert frame.locator("audio").count() == count
    frame.wait_for_function(
        "() => [...document.querySelectorAll('audio')].every((a) => a.readyState >= 1 || a.error)"
    )
    states = frame.evaluate(
        "() => [...document.querySelectorAll('audio')].map((a) => [a.duration, a.error?.message])"
    )
    assert states == [[pytest.approx(1.0, abs=0.02), None]] * count
    time_s = frame.evaluate(
        """async () => {
          const player = document.querySelector("audio");
          player.muted = true;
          await player.play();
          await new Promise((done) => player.addEventListener("ended", done));
          return player.currentTime;
        }"""
    )
    assert time_s == pytest.approx(1.0, abs=0.05)


def test_opened_from_disk_it_is_quiet_asks_for_nothing_and_plays(tab, usual):
    page = tab.open(usual)
    _check_audio(page, page.locator(".clip").count())
    assert page.locator(".clip").count() > 10
    assert tab.said == []
    outside = [url for url in tab.asked if not url.startswith("data:")]
    assert outside == [usual.as_uri()]
    assert page.title() == "Candidate review: Toy sounds: missed 2 of 3 gates"


def test_inside_a_sandboxed_frame_it_does_all_that_too(tab, usual, tmp_path):
    """As MLflow's artifact viewer shows it: scripts, but no origin."""
    frame = html.escape(usual.read_text("utf-8"), quote=True)
    outer = tmp_path / "viewer.html"
    outer.write_text(
        '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
        f'<iframe sandbox="allow-scripts" width="900" height="700" srcdoc="{frame}"></iframe>',
        "utf-8",
    )
    page = tab.open(outer)
    inner = next(frame for frame in page.frames if frame is not page.main_frame)
    inner.wait_for_load_state()
    assert inner.evaluate("() => self.origin") == "null"
    _check_audio(inner, inner.locator(".clip").count())
    inner.locator("#classes button", has_text="Recall").click()
    assert inner.locator("#classes th[aria-sort=descending]").inner_text().startswith("Recall")
    assert tab.said == []
    outside = [url for url in tab.asked if not url.startswith(("data:", "about:"))]
    assert outside == [outer.as_uri()]


def _column(page, name):
    heads = [text.strip() for text in page.locator("#classes thead th").all_inner_texts()]
    k = heads.index(name)
    return page.evaluate(
        """(k) => [...document.querySelectorAll("#classes tbody tr")].map(
             (row) => row.cells[k].dataset.value ?? row.cells[k].textContent.trim())""",
        k,
    )


def test_tables_sort_both_ways_by_mouse_and_by_keyboard(tab, usual):
    page = tab.open(usual)
    f1 = [float(value) for value in _column(page, "F1")]
    assert f1 == sorted(f1)
    for name in ("Clips", "Precision", "Recall", "F1"):
        button = page.locator("#classes thead button", has_text=name)
        head = page.locator("#classes thead th", has_text=name)
        button.click()
        values = [float(value) for value in _column(page, name)]
        assert values == sorted(values, reverse=True)
        assert head.get_attribute("aria-sort") == "descending"
        button.focus()
        page.keyboard.press("Enter")
        assert [float(value) for value in _column(page, name)] == sorted(values)
        assert head.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Space")
        assert head.get_attribute("aria-sort") == "descending"
        assert page.locator('#classes th[aria-sort="none"]').count() == 5
    page.locator("#classes thead button", has_text="Class").click()
    assert _column(page, "Class") == ["dog", "rain", "siren", "wind"]
    page.locator("#classes thead button", has_text="Class").click()
    assert _column(page, "Class") == ["wind", "siren", "rain", "dog"]
    gaps = "To champion"
    page.locator("#classes thead button", has_text=gaps).click()
    values = [float(value) for value in _column(page, gaps)]
    assert values == sorted(values)  # what became worse comes first


def test_a_class_that_was_not_compared_sorts_last_both_ways(tab, usual):
    page = tab.open(usual)
    page.evaluate(
        """() => { const cell = document.querySelector("#classes tbody tr").cells[5];
                   cell.dataset.value = ""; cell.textContent = "not compared"; }"""
    )
    for _ in range(2):
        page.locator("#classes thead button", has_text="To champion").click()
        assert _column(page, "To champion")[-1] == ""


def test_buttons_show_one_kind_of_clips(tab, usual):
    page = tab.open(usual)
    total = page.locator(".clip").count()
    kinds = [b.get_attribute("data-filter") for b in page.locator("[data-filter]").all()]
    assert kinds[:3] == ["all", "broken", "fixed"]
    for kind in kinds[1:]:
        button = page.locator(f'[data-filter="{kind}"]')
        button.focus()
        page.keyboard.press("Enter")
        expected = page.locator(f'.clip[data-reasons~="{kind}"]').count()
        assert 0 < expected < total
        assert page.locator(".clip:visible").count() == expected
        assert button.inner_text().endswith(f" {expected}")
        assert page.locator('[aria-pressed="true"]').count() == 1
        assert button.get_attribute("aria-pressed") == "true"
    page.locator('[data-filter="all"]').click()
    assert page.locator(".clip:visible").count() == total


def test_one_clip_plays_at_a_time_and_a_click_on_its_picture_seeks(tab, usual):
    page = tab.open(usual)
    pictures = page.locator(".pictures")
    pictures.nth(0).scroll_into_view_if_needed()
    page.evaluate("() => document.querySelectorAll('audio').forEach((a) => { a.muted = true; })")
    page.locator("audio").nth(1).evaluate("(a) => a.play()")
    box = pictures.nth(0).bounding_box()
    page.mouse.click(box["x"] + 0.5 * box["width"], box["y"] + 20)
    page.wait_for_function("() => !document.querySelectorAll('audio')[0].paused")
    assert page.locator("audio").nth(1).evaluate("(a) => a.paused")
    assert page.locator("audio").nth(0).evaluate("(a) => a.currentTime") >= 0.45
    page.wait_for_function("() => document.querySelectorAll('audio')[0].ended")
    left = pictures.nth(0).locator(".playhead").evaluate("(line) => parseFloat(line.style.left)")
    assert left > 90


def _unfold(page):
    page.locator("details").evaluate_all("(all) => { for (const each of all) each.open = true; }")


PAGES = ["usual", "long_names", "many_classes", "bare", "tagger"]


@pytest.mark.parametrize("size", [PHONE, NARROW, DESKTOP])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_scrolls_sideways(browser, request, name, size):
    with _Tab(browser, size) as tab:
        page = tab.open(request.getfixturevalue(name))
        _unfold(page)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
        assert tab.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_text_has_enough_contrast(browser, request, name, scheme):
    with _Tab(browser, DESKTOP, scheme) as tab:
        page = tab.open(request.getfixturevalue(name))
        _unfold(page)
        dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        found = page.evaluate(f"{CHECKS}.contrast()")
        assert len(found) > 60
        assert [entry for entry in found if entry[0] < 4.5] == []
        assert (sum(map(int, dark[4:-1].split(","))) < 150) == (scheme == "dark")


@pytest.mark.parametrize("name", PAGES)
def test_structure_labels_and_headings(tab, request, name):
    page = tab.open(request.getfixturevalue(name))
    assert page.evaluate(f"{CHECKS}.structure()") == []
    assert page.locator("html").get_attribute("lang") == "en"


def test_the_skip_link_and_focus_are_visible(tab, usual):
    page = tab.open(usual)
    page.keyboard.press("Tab")
    link = page.locator(".skip")
    assert link.evaluate("(e) => e === document.activeElement")
    assert link.bounding_box()["x"] >= 0
    page.keyboard.press("Tab")
    focused = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(focused) == "solid"


def test_nothing_moves_while_it_loads(tab, usual):
    page = tab.open(usual)
    shift = page.evaluate(
        """() => new Promise((done) => {
          let total = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) total += entry.value;
          }).observe({type: "layout-shift", buffered: true});
          setTimeout(() => done(total), 300);
        })"""
    )
    assert shift < 0.01


def test_paper_has_no_players_and_no_boxes_that_scroll(tab, usual):
    page = tab.open(usual)
    page.emulate_media(media="print")
    assert page.locator("audio:visible").count() == 0
    assert page.locator("nav:visible, .filters:visible").count() == 0
    hidden = """() => [...document.querySelectorAll(".scroll")].filter(
                  (e) => getComputedStyle(e).overflowY !== "visible").length"""
    assert page.evaluate(hidden) == 0


@pytest.mark.parametrize(("size", "is_cut"), [(PHONE, True), (DESKTOP, False)])
def test_a_matrix_wider_than_the_screen_says_so(browser, tmp_path, size, is_cut):
    classes = [f"class_{k:02d}" for k in range(10)]
    clips = [Clip(f"audio/{k}.wav") for k in range(40)]
    made = _make(tmp_path, clips=clips, classes=classes, audio=False)
    with _Tab(browser, size) as tab:
        page = tab.open(made)
        matrix = page.locator(".scroll:has(.matrix)")
        note = page.locator(".scroll:has(.matrix) + .sideways")
        assert note.is_visible() == is_cut
        assert ("more" in matrix.get_attribute("class").split()) == is_cut
        matrix.evaluate("(frame) => { frame.scrollLeft = frame.scrollWidth; }")
        page.wait_for_function("() => !document.querySelector('.scroll.more .matrix')")


def test_long_names_leave_every_column_of_the_confusions_visible(browser, tmp_path):
    classes = ["a_rather_long_class_name_of_" + name for name in ("helicopters", "chirping_birds")]
    clips = [Clip(f"audio/{k}.wav") for k in range(40)]
    made = _make(tmp_path, clips=clips, classes=[*classes, "dog"], audio=False)
    with _Tab(browser, (1400, 900)) as tab:
        page = tab.open(made)
        frame = page.locator('.scroll[aria-label="Most frequent confusions"]')
        assert frame.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_a_taggers_table_shows_every_column_on_a_wide_screen(browser, tagger):
    with _Tab(browser, (1400, 900)) as tab:
        page = tab.open(tagger)
        frame = page.locator('.scroll[aria-label="Figures of each label"]')
        assert frame.evaluate("(e) => e.scrollWidth <= e.clientWidth")
        heading = frame.locator("button", has_text="False alarms")
        heading.click()
        alarms = frame.locator("tbody tr td:nth-child(9)").all_inner_texts()
        assert alarms == sorted(alarms, key=int, reverse=True)
        assert len(alarms) == 11
