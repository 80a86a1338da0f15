"""The page needs no network, shows nothing that was not measured, and hostile names stay names."""

import json
import math
import re
from pathlib import Path

import pytest

from tests.report import sample
from tests.report.page import Page
from toolkit.deployment import Deployment, load_deployment, save_deployment
from toolkit.errors import BadInput
from toolkit.report import write_report
from toolkit.report.html import render
from toolkit.report.tables import accuracy_table
from toolkit.report.words import INSTRUCTION_CLOCK

HOSTILE = '</script></pre><script>alert(1)</script><img src="http://x.example/y" onerror=alert(2)>{{ 7 * 7 }}%{x}'


def page(deployment: Deployment) -> Page:
    return Page(render(deployment))


def figures(of: Page) -> dict[str, dict]:
    return json.loads(of.script("figures"))


@pytest.fixture(scope="module")
def full() -> Page:
    return page(sample.deployment())


def test_page_loads_nothing(full: Page) -> None:
    for tag, attributes in full.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base"), tag
        assert not {"src", "href", "srcset", "data", "action", "style"} & attributes.keys(), (tag, attributes)
    assert "http" not in full.script("")
    assert "fetch(" not in full.script("")
    policies = [a["content"] for _, a in full.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies
    assert "default-src 'none'" in str(policies[0])


def test_styles_load_nothing() -> None:
    style = render(sample.deployment()).split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\(|@import", style)


def test_page_is_small_enough_to_mail(tmp_path: Path) -> None:
    write_report(sample.deployment(), tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 2_500_000


def test_every_figure_has_alternative_text_and_a_table(full: Page) -> None:
    plots = [a for _, a in full.elements if a.get("class") == "plot"]
    assert {a["id"] for a in plots} == set(figures(full))
    assert set(figures(full)) == {"accuracy", "ranks", "adaptation", "prediction", "stages"}
    ids = {a.get("id") for _, a in full.elements}
    for plot in plots:
        assert plot["role"] == "img"
        assert plot["aria-label"]
        assert plot["aria-describedby"] in ids
    assert sum(a.get("class") == "beside" for _, a in full.elements) == len(plots)


def test_what_only_all_examples_have_together_has_a_column() -> None:
    accuracy = sample.accuracy()
    of_boxes = accuracy.task_dense.model_copy(update={"over_all": {"mAP@0.5": 0.613}})
    table = accuracy_table(
        sample.deployment(accuracy=sample.accuracy(task_dense=of_boxes, task_adapted=None), measure="F1 of boxes")
    )
    assert table is not None
    assert table.head[1:3] == ("F1 of boxes", "mAP@0.5")
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert {row[0]: row[2] for row in table.rows}["Task, dense"] == "61.3 %"


def test_every_id_is_used_once(full: Page) -> None:
    ids = [a["id"] for _, a in full.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_hostile_names_stay_names() -> None:
    honest = sample.deployment()
    shown = page(
        sample.deployment(
            task=HOSTILE,
            model=HOSTILE,
            classes=(HOSTILE, "b"),
            notes=(HOSTILE,),
            device_facts={HOSTILE: HOSTILE},
            stages=tuple(s.model_copy(update={"name": HOSTILE}) for s in honest.stages),
            allocation=tuple(c.model_copy(update={"layer": HOSTILE}) for c in honest.allocation),
            frontier=tuple(p.model_copy(update={"label": HOSTILE}) for p in honest.frontier),
        )
    )
    tags = [tag for tag, _ in shown.elements]
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attributes in shown.elements for name in attributes)
    assert [name for name, _ in shown.scripts] == ["figures", "plotly", ""]
    assert "{{ 7 * 7 }}" in shown.text


def test_plotly_is_given_no_markup_of_the_user() -> None:
    layers = tuple(c.model_copy(update={"layer": HOSTILE}) for c in sample.deployment().allocation)
    points = tuple(p.model_copy(update={"label": "<b>x</b>"}) for p in sample.frontier())
    drawn = json.dumps(figures(page(sample.deployment(allocation=layers, frontier=points))))
    assert not re.search(r"<(script|img|b>)", drawn)
    assert "&lt;b&gt;x&lt;/b&gt;" in drawn


def test_channels_are_shown_beside_ranks() -> None:
    kept = {"layer": "channels of a", "choice": "channels", "rank": 8, "full_rank": 32, "predicted_ms": -0.1}
    honest = sample.deployment().allocation
    cut = honest[0].model_copy(update={**kept, "dense_ms": 0.0, "weight_bytes": -4096})
    drawn = page(sample.deployment(allocation=(*honest, cut)))
    assert "channels kept" in json.dumps(figures(drawn))
    said = " ".join(drawn.text.split())
    assert "groups of channels that are cut: 1" in said
    assert "8 of 32" in said
    assert f"of {len(honest)} layers are compact" in said


def test_plan_shows_no_measurement() -> None:
    shown = page(sample.plan())
    assert "Planned, nothing installed: 0.39 ms predicted of 0.5 ms on host" in shown.text
    assert "Accuracy: not measured." in shown.text
    assert "Adaptation on the device" not in shown.text
    assert set(figures(shown)) == {"ranks", "stages"}
    table = shown.text.split("Allocation:")[0]
    assert "not measured" in table
    assert not re.search(r"(?<![\d.])0 (ms|B|%)", table), "what was not measured is not 0"


def test_result_with_nothing_to_draw_carries_no_plotly() -> None:
    assert len(render(sample.plan(allocation=(), stages=()))) < 100_000


@pytest.mark.parametrize("make", [sample.deployment, sample.plan])
def test_instruction_clock_is_named_wherever_a_latency_stands(make) -> None:
    by_instructions = make().latency_ms.model_copy(update={"clock": "instructions"})
    shown = page(make(latency_ms=by_instructions))
    for caption in re.findall(r"(?:Latency, p95|Latency, median|Allocation:|Median latency of)[^.]*?time", shown.text):
        assert INSTRUCTION_CLOCK in caption
    verdict = shown.text.split("toolkit.examples")[0]
    assert INSTRUCTION_CLOCK in verdict
    for name, axes in (("accuracy", ["xaxis"]), ("prediction", ["xaxis", "yaxis"])):
        for axis in axes if name in figures(shown) else []:
            title = re.sub(r"<br>", " ", figures(shown)[name]["layout"][axis]["title"]["text"])
            assert INSTRUCTION_CLOCK in re.sub(r"<[^>]+>", "", title)


def test_wall_clock_is_not_called_another(full: Page) -> None:
    assert "instruction" not in full.text.split("result.json")[0]


def test_not_finite_numbers_are_said_and_leave_a_gap() -> None:
    shown = page(sample.deployment(adaptation=sample.adaptation(training_loss=(0.7, math.nan)), bound_gap=math.nan))
    losses = [t["y"] for t in figures(shown)["adaptation"]["data"] if t["name"].startswith("training")]
    assert losses == [[0.7, None]]
    assert "distance from the best possible gain unknown" in shown.text


def test_report_verb_redraws_beside_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from toolkit.cli.report import report

    save_deployment(sample.deployment(), tmp_path / "result.json")
    report(tmp_path / "result.json")
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    drawn = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert drawn == render(load_deployment(tmp_path / "result.json"))


def test_report_verb_says_where_it_cannot_write(tmp_path: Path) -> None:
    from toolkit.cli.report import report

    save_deployment(sample.deployment(), tmp_path / "result.json")
    with pytest.raises(BadInput, match="cannot be written"):
        report(tmp_path / "result.json", tmp_path / "no" / "such.html")


def test_plan_of_a_probed_board_has_no_conditions_after() -> None:
    shown = page(sample.plan(conditions={"before": {"governor": None, "load_1min": 0.5}}))
    assert "governor not readable not measured" in shown.text
