"""Pages made of templates that escape by themselves, and written whole or not at all."""

from __future__ import annotations

import jinja2
import pytest

from electra_convert.demo.evaluation import MarkedText
from electra_convert.errors import OutputError
from electra_convert.pages import CLOSED_POLICY, check_page, framed, render, save_page


def scores(**changed: object) -> str:
    given = {"styles": "", "texts": [MarkedText("a<b", "token", (), 1)], "unit": "token", "threshold": 0.5}
    return render("electra_convert.demo", "scores.html", **{**given, "model": "<m>", "labelled": False, **changed})


def test_a_template_extends_what_all_pages_share_and_escapes_what_it_is_given():
    page = scores(evaluation=None)
    assert page.startswith("<!doctype html>")
    assert f'content="{CLOSED_POLICY}"' in page
    assert "--page: #" in page
    assert "a&lt;b" in page
    assert "<m>" not in page


def test_a_name_that_a_template_is_not_given_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'evaluation' is undefined"):
        scores()


def test_a_template_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError, match=r"nothing\.html"):
        render("electra_convert.demo", "nothing.html")


def test_a_framed_page_cannot_leave_its_frame():
    assert framed("\"></iframe><b>'").count("<") == 2


def test_a_page_is_written_over_another_only_when_told_and_holds_halves_of_characters_as_signs(tmp_path):
    page = tmp_path / "page.html"
    save_page(page, "a\ud800b", overwrite=False)
    assert page.read_text() == "a?b"
    with pytest.raises(OutputError, match="already exists"):
        save_page(page, "c", overwrite=False)
    save_page(page, "c", overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(("name", "said"), [(".", "is not a file"), ("nowhere/page.html", "is not a folder")])
def test_a_place_where_no_page_can_be_is_refused(tmp_path, name, said):
    with pytest.raises(OutputError, match=said):
        check_page(tmp_path / name, overwrite=True)
