"""The front matter: completed and checked, every line of the user's kept, and read back by the Hub's own client."""

from __future__ import annotations

import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from support.fake_hub.metadata import faults_of

from electra_convert.errors import CardError
from electra_convert.hub.card.metadata import Metadata, check_values, complete, parse, split_card

pytestmark = pytest.mark.slow

DERIVED = {"library_name": "transformers", "tags": ["electra"]}


def completed(front: str = "", **given) -> str:
    return complete(front, Metadata(**given).fields(), DERIVED, "README.md")


def test_what_is_said_is_read_back_by_the_hubs_client():
    front = completed(license="apache-2.0", language=("en", "no"), base_model="google/electra-small-discriminator")
    data = ModelCard(f"---\n{front}---\n").data
    assert (data.license, data.language, data.library_name) == ("apache-2.0", ["en", "no"], "transformers")
    assert (data.base_model, data.tags) == ("google/electra-small-discriminator", ["electra"])
    assert faults_of(f"---\n{front}---\n") == []


def test_lines_of_the_user_stay_as_they_are_and_win():
    mine = "# mine\ntags: [a, 'b']   # two\nlibrary_name: other\nlicense:   mit\nlanguage: ko\n"
    front = completed(mine, license="mit", language=("ko",))
    assert front == mine


def test_only_what_is_missing_is_added():
    assert completed("license: mit\n") == "license: mit\nlibrary_name: transformers\ntags:\n- electra\n"


@pytest.mark.parametrize("nothing", ["", " ", " ~", " null", "  # to be said", " null # x"])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_key_without_a_value_gets_it_where_it_stands(nothing, quote):
    front = completed(
        f"{quote}license{quote}:{nothing}\nx: 1\nlanguage:\ntags:{nothing}\n", license="mit", language=("en",)
    )
    assert front == "license: mit\nx: 1\nlanguage:\n- en\ntags:\n- electra\nlibrary_name: transformers\n"
    assert faults_of(f"---\n{front}---\n") == []


def test_a_key_whose_nothing_is_written_in_other_words_is_named():
    with pytest.raises(CardError, match="license has no value that can be read"):
        completed("license: !!null ''\n", license="mit")


def test_completing_twice_is_completing_once():
    once = completed(license="mit", language=("en",))
    assert completed(once, license="mit", language=("en",)) == once


@pytest.mark.parametrize(
    ("front", "given", "said"),
    [
        ("license: mit\n", {"license": "apache-2.0"}, "says license: mit, the option says apache-2.0"),
        ("language: [en, de]\n", {"language": ("en",)}, "says language: en, de, the option says en"),
        ("base_model: a/b\n", {"base_model": "c/d"}, "says base_model: a/b, the option says c/d"),
    ],
)
def test_an_option_never_overwrites_the_card(front, given, said):
    with pytest.raises(CardError, match=said):
        completed(front, **given)


@pytest.mark.parametrize(
    "front",
    [
        "license: [mit\n",
        "- a\n- b\n",
        "just words\n",
        "{license: mit}\n",
        "a: b: c\n",
        "\tlicense: mit\n",
        "a: 1\n...\n",
    ],
)
def test_a_front_matter_that_nothing_can_be_added_to_is_refused(front):
    with pytest.raises(CardError, match=r"README\.md"):
        completed(front)


@pytest.mark.parametrize("licence", ["apache-2.0", "mit", "openrail++", "cc-by-nc-sa-4.0", "made-up-tomorrow"])
def test_an_identifier_of_any_licence_is_left_to_the_hub(licence):
    check_values({"license": licence}, "README.md")


@pytest.mark.parametrize("licence", ["Apache-2.0", "apache 2.0", "GPL", "", "-x", 3, True])
def test_what_is_no_identifier_of_a_licence_is_refused(licence):
    with pytest.raises(CardError, match=r"expected an identifier such as apache-2\.0") as refusal:
        check_values({"license": licence}, "README.md")
    assert "license: other" in str(refusal.value.hint)


def test_an_option_in_capitals_is_what_the_hub_lists_in_small_letters():
    assert Metadata("MIT", ("EN", "en", "De")).fields() == {"license": "mit", "language": ["en", "de"]}
    assert Metadata(language="Ko").fields() == {"language": ["ko"]}
    assert Metadata().fields() == {}


def test_another_licence_needs_a_name():
    with pytest.raises(CardError, match="there is no license_name"):
        check_values({"license": "other"}, "README.md")


@pytest.mark.parametrize("code", ["en", "ko", "no", "yue", "ger", "deu", "fre", "multilingual", "code"])
def test_codes_of_languages_are_accepted(code):
    assert parse(completed(language=(code,)), "README.md")["language"] == [code]


@pytest.mark.parametrize("code", ["EN", "english", "zh-CN", "", "e", "e1", True, 3])
def test_what_is_no_code_of_a_language_is_refused(code):
    with pytest.raises(CardError, match="no ISO 639 code"):
        check_values({"language": [code]}, "README.md")


@pytest.mark.parametrize("repo_id", ["model.ckpt-4000", "a/b/c", "https://huggingface.co/a/b", "../x", 3])
def test_a_base_model_that_is_no_repository_is_refused(repo_id):
    if repo_id == "model.ckpt-4000":  # a name without an owner, as the Hub's first models have
        check_values({"base_model": repo_id}, "README.md")
        return
    with pytest.raises(CardError, match="base_model"):
        check_values({"base_model": repo_id}, "README.md")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r")))
def test_a_card_is_parted_without_loss(text):
    front, body = split_card(text)
    assert (front == "" and body == text) or text.endswith(body)
    assert split_card(f"---\na: b\n---\n{text}") == ("a: b\n", text)
