from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import io
import json
import re
import time
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from PIL import Image
from toy_review import CLASSES, MISSED, PASSED, UNJUDGED, Clip, write_run

from soundgate.audio.formats.reports.review_page import read_summary
from soundgate.audio.review import tables, wording
from soundgate.audio.review.clips import CHANGED, WORST
from soundgate.audio.review.evidence import gather
from soundgate.audio.review.page import write
from soundgate.errors import DataError
from steps.review import review as review_step


def _page(folders, folder, **options):
    summary = write(folders, folder, **options)
    text = (folder / "report.html").read_text("utf-8")
    assert summary.bytes == len(text.encode("utf-8"))
    return text


def _text(page):
    """What a reader sees, roughly: no tags, no style, no script."""
    page = re.sub(r"<(style|script|title)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def _results(folders):
    lines = (folders.report / "predictions.jsonl").read_text().splitlines()
    theirs = (folders.comparison / "champion_predictions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], [json.loads(line) for line in theirs]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), quantized=True)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    provenance = {"run": "20261120-1", "commit": "abc-dirty"}
    figures = json.loads((run.report / "evaluation.json").read_text())
    interval = figures["multiclass_classification_metrics"]["clip_acc"]
    verdicts = [PASSED | {end: interval[end] for end in ("low", "high")}, MISSED, UNJUDGED]
    return _page(run, folder, verdicts=verdicts, origin=provenance)


def test_equal_evidence_gives_equal_bytes(run, tmp_path):
    one = write(run, tmp_path / "a")
    time.sleep(1.1)  # libsndfile draws serial numbers by the second
    assert one == write(run, tmp_path / "b")
    digest = hashlib.sha256((tmp_path / "a/report.html").read_bytes()).hexdigest()
    assert one.digest == f"sha256:{digest}"
    assert json.loads((tmp_path / "a/review.json").read_text()) == one.as_json()
    assert read_summary(tmp_path / "a") == one


def test_the_page_refers_to_nothing_outside_itself(page):
    addresses = re.findall(r'(?:src|href|action|data)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"https?://|@import|url\(", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert html.unescape(policy).endswith(f"script-src 'sha256-{digest}'")


def test_sections_come_in_the_order_of_a_decision(page):
    headings = [html.unescape(re.sub("<.*?>", "", h)) for h in re.findall(r"<h2.*?</h2>", page)]
    assert headings == [
        "Missed 2 of 3 gates",
        "Gates",
        "Metrics on all 40 test clips",
        "Compared with the champion, aed version 3",
        "Confusions",
        "Classes",
        "Clips to listen to",
        "Calibration and training",
        "Provenance",
    ]


def test_gates_show_value_bound_interval_and_message(page, run):
    gates = page[page.index('id="gates"') : page.index('id="figures"')]
    text = _text(gates)
    figures = json.loads((run.report / "evaluation.json").read_text())
    interval = figures["multiclass_classification_metrics"]["clip_acc"]
    shown = f"{wording.fraction(interval['low'])} to {wording.fraction(interval['high'])}"
    assert f"clip: accuracy 0.75 {shown} ≥ 0.5 passed" in text
    assert "≥ 0.9 missed Execution failed due to patch level acc < 0.9" in text
    assert "quantized: clip: accuracy not known ≥ 0.9 not judged advisory" in text
    assert "cannot be judged: no such number" in text
    assert "1 of these could not be judged, which counts as missed." in _text(page)


def test_headline_figures_have_float_and_int8_lines(page):
    text = _text(page[page.index('id="figures"') : page.index('id="champion"')])
    assert "Metric Value int8" in text
    assert text.count("0.650 0.500 to 0.750") == 2
    said = "The int8 model agrees with the float model on 96.2 % of patches; its size is 123 kB."
    assert said in text


def test_the_comparison_is_said_in_words_that_agree_with_the_counts(page, run):
    ours, theirs = _results(run)
    both = list(zip(ours, theirs, strict=True))
    better = sum(a["correct"] and not b["correct"] for a, b in both)
    worse = sum(b["correct"] and not a["correct"] for a, b in both)
    text = _text(page)
    assert f"Only the candidate is right on {better} clips, only the champion on {worse}." in text
    assert "The 40 clips come from 20 recordings." in text
    assert (
        f"{worse} clips that the champion got right are now wrong ({min(worse, CHANGED)} shown)"
        in text
    )
    assert (
        f"{better} clips that the champion got wrong are now right ({min(better, CHANGED)} shown)"
        in text
    )


MISTAKE = {"confident", "wrong"}


def test_the_worst_clips_come_surest_first_and_no_right_one_is_among_them(page, run):
    ours, _ = _results(run)
    wrong = [row for row in ours if not row["correct"]]
    wrong.sort(key=lambda row: -row["scores"][row["predicted"][0]])
    cards = re.findall(r'<li class="clip" data-reasons="([^"]*)">(.*?)</audio>', page, re.DOTALL)
    worst = [
        re.search(r"<h3>(.*?)</h3>", body)[1] for why, body in cards if MISTAKE & set(why.split())
    ]
    assert sorted(worst) == sorted(row["path"] for row in wrong[:WORST])
    only = [re.search(r"<h3>(.*?)</h3>", body)[1] for why, body in cards if why == "confident"]
    order = [row["path"] for row in wrong]
    assert [order.index(path) for path in only] == sorted(order.index(path) for path in only)


def test_every_card_shows_truth_decision_scores_and_patches(page, run):
    ours, theirs = _results(run)
    champion = {row["path"]: row for row in theirs}
    cards = re.findall(r'<li class="clip".*?(?=<li class="clip"|</section>)', page, re.DOTALL)
    rows = {row["path"]: row for row in ours}
    for card in cards:
        row = rows[re.search(r"<h3>(.*?)</h3>", card)[1]]
        text = _text(card)
        verdict = "correct" if row["correct"] else "wrong"
        assert f"Truth {row['truth'][0]} Candidate {row['predicted'][0]}, {verdict}" in text
        assert f"Champion {champion[row['path']]['predicted'][0]}" in text
        assert f"Patches correct {row['patches_correct']} of {row['patches']}" in text
        assert f"{wording.fraction(max(row['scores'].values()))}" in text


def test_confusion_matrix_and_classes_hold_the_figures(page, run):
    figures = json.loads((run.report / "evaluation.json").read_text())
    matrix = page[page.index('<table class="matrix') :]
    matrix = matrix[: matrix.index("</table>")]
    body = matrix[matrix.index("<tbody>") :]
    found = [
        [int(cell or 0) for cell in re.findall(r"<td[^>]*>(\d*)</td>", row)]
        for row in re.findall(r"<tr>.*?</tr>", body)
    ]
    assert found == figures["confusion_matrix"]["rows"]
    classes = _text(page[page.index('id="classes"') : page.index('id="clips"')])
    compared = json.loads((run.comparison / "comparison.json").read_text())["per_class"]
    gaps = {row["label"]: row["difference"]["f1"] for row in compared}
    for row in figures["per_class"]:
        f1 = wording.fraction(row["f1"])
        line = rf"{row['label']} {row['support']} \S+ \S+ {f1} "
        assert re.search(line + re.escape(wording.signed(gaps[row["label"]])), classes)


def test_provenance_names_data_commit_run_and_versions(page):
    text = _text(page[page.index('id="provenance"') :])
    for said in ("Toy sounds", "CC0", "ab12", "20261120-1", "best epoch 4", "plain", "n_fft"):
        assert said in text
    assert "abc-dirty with changes that were not committed" in text


EXPORT = {
    "format": "soundgate.export/1",
    "files": {"model_int8.onnx": {"bytes": 1_249_414, "sha256": "cb35fb8ee9053cc84a5c6069"}},
    "quantization": {
        "granularity": "per_channel",
        "calibration": {"source": "training", "clips": ["a.wav", "b.wav"]},
    },
    "checks": {
        "tolerance": 1e-4,
        "shapes": [[1, 5333], [3, 16000]],
        "largest_difference": {"model.onnx": 6.85e-07},
    },
    "versions": {"opset": 17, "onnx": "1.23.2"},
}


def test_provenance_tells_what_was_exported_and_how_it_was_checked(run, tmp_path):
    exported = tmp_path / "exported"
    exported.mkdir()
    (exported / "export.json").write_text(json.dumps(EXPORT))
    page = _page(dataclasses.replace(run, exported=exported), tmp_path / "page")
    text = _text(page[page.index('id="provenance"') :])
    assert "model_int8.onnx 1.25 MB, sha256 cb35fb8ee9053cc8…" in text
    assert "largest difference 7e-07 of 0.0001 allowed, in 2 shapes" in text
    assert "calibrated with 2 clips: training granularity per_channel" in text
    assert "versions opset 17, onnx 1.23.2" in text
    (exported / "export.json").unlink()
    page = _page(dataclasses.replace(run, exported=exported), tmp_path / "page")
    assert "<h3>Export</h3>" not in page


_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "rel", "href", "class", "id", "style"),
    *("role", "tabindex", "scope", "colspan", "type", "title", "alt", "src", "width", "height"),
    *("hidden", "controls", "preload", "viewbox", "fill", "stroke", "stroke-width", "opacity"),
    *("stroke-linecap", "stroke-linejoin", "preserveaspectratio", "d", "cx", "cy", "r", "x", "y"),
    *("text-anchor", "aria-label", "aria-labelledby", "aria-hidden", "aria-sort", "aria-pressed"),
    *("data-first", "data-value", "data-sortable", "data-reasons", "data-filter"),
}


class _Elements(HTMLParser):
    """Names of elements and attributes."""

    def __init__(self):
        super().__init__()
        self.attributes, self.elements = set(), set()

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}


NASTY = ("<script>alert(1)</script>", "a\"b'c", "x & y", "ünï ☃")


def test_names_with_html_in_them_are_only_text(tmp_path):
    clips = [Clip(f'audio/{k} "quoted" & <b>bold.wav', source="<i>s") for k in range(8)]
    folders = write_run(tmp_path / "run", clips=clips, classes=NASTY, right=0.3)
    page = _page(folders, tmp_path / "page", origin={"run": "<script>run()</script>"})
    assert page.count("<script") == 1
    assert "<b>bold" not in page
    assert "<i>s" not in page
    for name in NASTY:
        assert name in html.unescape(page)
    # No name ends an attribute early, or makes an element.
    seen = _Elements()
    seen.feed(page)
    assert seen.attributes <= _ATTRIBUTES
    assert not {"bold.wav", "bold"} & seen.elements
    assert {"title", "alt", "aria-label"} <= seen.attributes


def test_no_clip_wrong_one_class_no_history_no_champion(tmp_path):
    folders = write_run(
        tmp_path / "run", classes=("hum",), right=1.0, champion_right=None, history=False
    )
    page = _page(folders, tmp_path / "page")
    text = _text(page)
    assert "No gate was declared" in text
    assert "0 of 40 test clips were classified incorrectly." in text
    assert "There is no champion yet" in text
    assert "The training recorded no history." in text
    assert "No class was confused with another." in text
    assert "<audio" not in page


def test_a_missing_and_a_damaged_audio_file_are_said_in_their_card(tmp_path):
    clips = [Clip(f"audio/{k}.wav") for k in range(8)]
    folders = write_run(tmp_path / "run", clips=clips, right=0.0, champion_right=None)
    (folders.clips / "audio/3.wav").unlink()
    (folders.clips / "audio/5.wav").write_bytes(b"RIFF")
    page = _page(folders, tmp_path / "page")
    cards = re.findall(r'<li class="clip".*?(?=<li class="clip"|</section>)', page, re.DOTALL)
    shown = {re.search(r"<h3>(.*?)</h3>", card)[1]: _text(card) for card in cards}
    assert "No audio: audio/3.wav: no such file: check the path" in shown["audio/3.wav"]
    assert "No audio: audio/5.wav: is damaged or cut short" in shown["audio/5.wav"]
    assert page.count("<audio") == 6
    assert str(folders.clips) not in page


def test_a_page_without_any_audio_is_still_made(tmp_path):
    folders = write_run(tmp_path / "run", audio=False)
    page = _page(folders, tmp_path / "page", verdicts=[PASSED])
    assert "Passed its only gate" in page
    assert page.count("No audio: audio/") == page.count('<li class="clip"') > 10


def test_what_was_left_out_of_the_comparison_is_said(tmp_path):
    folders = write_run(tmp_path / "run")
    path = folders.comparison / "comparison.json"
    compared = json.loads(path.read_text())
    compared["left_out"] = {
        "unknown_to_champion": 7,
        "unknown_to_candidate": 1,
        "champion_trained_on": 2,
    }
    compared["classes_left_out"] = {
        "unknown_to_champion": ["siren"],
        "unknown_to_candidate": ["cow", "hen"],
    }
    compared["per_class"] = compared["per_class"][:2]
    path.write_text(json.dumps(compared))
    page = _page(folders, tmp_path / "page")
    text = _text(page)
    assert "7 clips left out: the champion does not know the class, such as siren." in text
    assert "1 clip left out: only the champion knows the class, such as cow, hen." in text
    assert "2 clips left out: the champion was trained on the recording" in text
    assert _text(page[page.index('id="classes"') :]).count("not compared") == 2


def test_a_champion_that_could_not_be_compared_is_not_hidden(tmp_path):
    folders = write_run(tmp_path / "run", champion_right=None)
    path = folders.comparison / "comparison.json"
    compared = json.loads(path.read_text())
    compared["champion"] = {"name": "aed", "version": "2", "run_id": "r", "classes": ["cow"]}
    compared["reason"] = "the champion shares no class with the candidate"
    compared["clip_acc"]["difference"] = None
    path.write_text(json.dumps(compared))
    text = _text(_page(folders, tmp_path / "page"))
    said = "Not compared with the champion, aed version 2: the champion shares no class"
    assert said in text


def test_several_labels_have_their_own_figures(tmp_path):
    folders = write_run(tmp_path / "run", multi_label=True)
    text = _text(_page(folders, tmp_path / "page"))
    assert "share of clips with every label given and no other" in text
    assert "Mean average precision" in text
    assert "Several labels per clip" in text
    assert "Truth none" not in text


@pytest.mark.parametrize("name", ["evaluation.json", "predictions.jsonl"])
def test_a_damaged_report_is_one_line(tmp_path, name):
    folders = write_run(tmp_path / "run", audio=False)
    (folders.report / name).write_text('{"a"')
    with pytest.raises(DataError, match=f"{name}.* is damaged") as error:
        write(folders, tmp_path / "page")
    assert "\n" not in str(error.value)


def test_two_hundred_classes_are_a_picture_and_a_list(tmp_path):
    classes = [f"class number {k:03d}" for k in range(200)]
    clips = [Clip(f"audio/{k}.wav") for k in range(1000)]
    folders = write_run(tmp_path / "run", clips=clips, classes=classes, audio=False)
    page = _page(folders, tmp_path / "page")
    assert '<table class="matrix' not in page
    picture = re.search(r'class="map"[^>]*src="data:image/png;base64,([^"]*)"', page)[1]
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    assert image.size == (600, 600)
    figures = json.loads((folders.report / "evaluation.json").read_text())
    rows = np.array(figures["confusion_matrix"]["rows"])
    pixels = np.asarray(image)[1::3, 1::3].astype(int)
    white = (pixels > 250).all(2)
    assert (white == (rows == 0)).all()
    red = pixels[..., 0] > pixels[..., 2]
    wrong = (rows > 0) & ~np.eye(200, dtype=bool)
    assert red[wrong].all()
    assert not red[np.eye(200, dtype=bool)].any()
    assert len(page) < 1_000_000


def test_ten_thousand_clips_make_a_page_under_five_megabytes(tmp_path):
    """Loud noise of the longest excerpts, which packs worst; 50 classes."""
    clips = [Clip(f"audio/{k}.wav", f"s{k % 100}") for k in range(10_000)]
    classes = [f"class number {k:02d}" for k in range(50)]
    folders = write_run(tmp_path / "run", clips=clips, classes=classes, audio=False, right=0.6)
    (folders.clips / "audio").mkdir()
    noise = 0.3 * np.random.default_rng(0).standard_normal((10 * 48_000, 2))
    soundfile.write(folders.clips / "audio/noise.wav", noise, 48_000)
    for clip in clips:
        (folders.clips / clip.path).symlink_to("noise.wav")
    started = time.monotonic()
    summary = write(folders, tmp_path / "page", verdicts=[PASSED])
    assert summary.clips_tested == 10_000
    assert summary.clips_shown >= 30
    assert 1_000_000 < summary.bytes < 5_000_000
    assert time.monotonic() - started < 60
    text = _text((tmp_path / "page/report.html").read_text())
    assert re.search(r"of 10 000 test clips were classified incorrectly; the 20 mistakes", text)


def test_the_weakest_class_and_the_most_frequent_confusion_come_first(run):
    evidence = gather(run, [], {})
    rows = tables.per_class(evidence.report, evidence.comparison)
    assert [row.f1 for row in rows] == sorted(row.f1 for row in rows)
    pairs = tables.confusion(evidence.report.confusion_matrix).pairs
    assert [pair.count for pair in pairs] == sorted((p.count for p in pairs), reverse=True)
    assert sum(pair.count for pair in pairs) == sum(not row.correct for row in evidence.results)


def test_the_step_judges_the_gates_itself(tmp_path, capsys, monkeypatch):
    folders = write_run(tmp_path / "run", audio=False)
    fields = ("metric", "json_path", "threshold", "bound", "file", "message", "advisory")
    gates = [{key: PASSED[key] for key in fields} | {"report": "evaluate/report"}]
    gates.append(
        gates[0]
        | {"metric": "clip:accuracy:gain", "json_path": "clip_acc.difference.low"}
        | {"file": "comparison.json", "report": "compare/comparison"}
        | {"advisory": True, "threshold": 0.99}
    )
    (tmp_path / "gates.json").write_text(json.dumps(gates))
    monkeypatch.setenv("SOUNDGATE_COMMIT", "c0ffee")
    review_step(
        *(folders.report, folders.model, folders.metrics, folders.clips, folders.card),
        *(folders.comparison, tmp_path / "gates.json"),
        {"evaluate/report": folders.report, "compare/comparison": folders.comparison},
        tmp_path / "review",
    )
    page = (tmp_path / "review/report.html").read_text()
    assert "Missed 1 of 2 gates (advisory)" in page
    assert "c0ffee" in page
    gap = json.loads((folders.comparison / "comparison.json").read_text())["clip_acc"]["difference"]
    shown = f"{wording.fraction(gap['low'])} to {wording.fraction(gap['high'])}"
    assert shown in _text(page[page.index('id="gates"') : page.index('id="figures"')])
    assert re.search(r"report\.html: \d+ kB, \d+ of 40 test clips", capsys.readouterr().out)
    assert CLASSES[0] in page


def test_gates_on_two_reports_of_one_name_are_shown_apart(tmp_path):
    """Each with its own number and interval; the figures carry the bound on their report alone."""
    folders = write_run(tmp_path / "run", audio=False)
    other = tmp_path / "other"
    other.mkdir()
    figures = {"clip_acc": {"value": 0.125, "low": 0.05, "high": 0.2}}
    (other / "evaluation.json").write_text(
        json.dumps({"multiclass_classification_metrics": figures})
    )
    fields = ("metric", "json_path", "threshold", "bound", "file", "message", "advisory")
    gate = {key: PASSED[key] for key in fields}
    gates = [
        gate | {"report": "evaluate-desed/report", "threshold": 0.25},
        gate | {"report": "evaluate-maestro/report", "threshold": 0.375},
    ]
    (tmp_path / "gates.json").write_text(json.dumps(gates))
    review_step(
        *(folders.report, folders.model, folders.metrics, folders.clips, folders.card),
        *(folders.comparison, tmp_path / "gates.json"),
        {"evaluate-desed/report": folders.report, "evaluate-maestro/report": other},
        tmp_path / "review",
    )
    page = (tmp_path / "review/report.html").read_text()
    text = _text(page[page.index('id="gates"') : page.index('id="figures"')])
    own = json.loads((folders.report / "evaluation.json").read_text())
    own = own["multiclass_classification_metrics"]["clip_acc"]
    shown = f"{wording.fraction(own['low'])} to {wording.fraction(own['high'])}"
    assert f"clip: accuracy of evaluate-desed/report {own['value']:g} {shown} ≥ 0.25 passed" in text
    low, high = wording.fraction(0.05), wording.fraction(0.2)
    assert f"clip: accuracy of evaluate-maestro/report 0.125 {low} to {high} ≥ 0.375 miss" in text
    figures = page[page.index('id="figures"') : page.index('id="champion"')]
    assert figures.count('<u style="left:25.0%">') == 1
    assert "left:37.5%" not in figures


def test_the_title_names_model_day_run_and_data_and_the_command_approves_this_run(tmp_path):
    run = write_run(tmp_path / "run", audio=False)
    origin = {"model": "my model", "run": "20261130-033014-960eb"}
    write(run, tmp_path / "page", verdicts=[PASSED, UNJUDGED], origin=origin)
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    named = "Candidate review: my model, 2026-11-30, run 20261130-033014-960eb, Toy sounds"
    assert f"<h1>{named}</h1>" in page
    decide = "review-model approve 20261130-033014-960eb --model-name 'my model'"
    assert f'{decide} --comment "REASON" --override' in html.unescape(page)
    write(run, tmp_path / "missed", verdicts=[MISSED], origin=origin)
    assert "review-model" not in (tmp_path / "missed" / "report.html").read_text("utf-8")


def test_only_mistakes_with_a_high_score_are_labelled_so(page, run):
    ours, _ = _results(run)
    rows = {row["path"]: row for row in ours}
    cards = re.findall(r'<li class="clip" data-reasons="([^"]*)">(.*?)</audio>', page, re.DOTALL)
    for why, body in cards:
        row = rows[re.search(r"<h3>(.*?)</h3>", body)[1]]
        high = not row["correct"] and row["scores"][row["predicted"][0]] >= 0.5
        if MISTAKE & set(why.split()):
            assert ("confident" in why.split()) == high
        assert ("high-score mistake" in body) == ("confident" in why.split())
