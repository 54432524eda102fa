"""helpers/localaws/README.md is what the code and the tests say."""

import re
import textwrap

import pytest

from . import reference
from .reference import PACKAGE, README, SECTIONS, TESTS, facts, operations, prose, render, sentence


def test_the_reference_is_what_the_code_and_the_tests_say():
    text, missing = render(README.read_text("utf-8"))
    assert missing == []
    assert README.read_text("utf-8") == text, "helpers/localaws/README.md is stale: `make reference` writes it"


def test_the_bench_figures_are_kept():
    figures = "<!-- bench -->\n| a | 1 |\n<!-- /bench -->"
    text, _ = render(f"# something older\n{figures}\nmore")
    assert figures in text and text.count("<!-- bench -->") == 1
    assert "`make bench` writes its table here" in render("")[0]


def test_every_link_of_the_reference_leads_somewhere():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README.read_text("utf-8"))
    assert links and [link for link in links if not (PACKAGE / link).exists()] == []


def test_every_test_module_of_the_local_aws_belongs_to_one_section():
    owners = {path: [section.title for section in SECTIONS if path in section.modules] for path in TESTS.glob("test_*.py")}
    owners.pop(TESTS / "test_reference.py")
    assert {path.name: found for path, found in owners.items() if len(found) != 1} == {}


@pytest.mark.parametrize("section", [section for section in SECTIONS if section.service], ids=lambda section: section.title)
def test_operations_are_the_methods_that_the_api_knows(section):
    answered, refused = operations(section.service)
    assert answered and not set(answered) & set(refused) and "Handle" not in answered


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(reference, "SECTIONS", [reference.Section("Nothing", "pipes", ("nowhere",), SECTIONS[0].service)])
    _, missing = render("")
    assert len(missing) == 2 and "REFUSED" in missing[1] and all(line.startswith("Nothing") for line in missing)


def test_a_fact_is_a_graded_test_and_its_name_a_sentence(tmp_path):
    (tmp_path / "test_x.py").write_text(textwrap.dedent('''
        def test_s3_objects_wait_for_iam(aws):
            """[C] EB batching; more [L].

            A second paragraph."""

        def test_plumbing():
            """No grade."""

        class TestMore:
            def test_in_a_class(self):
                """[U] what AWS does."""
    '''), "utf-8")
    assert sorted(facts(tmp_path / "test_x.py")) == [("In a class", "[U] what AWS does."), ("S3 objects wait for IAM", "[C] EB batching; more [L].")]
    assert sentence("test_an_object_s_time_in_dynamodb") == "An object's time in DynamoDB"


def test_marks_are_found_in_docstrings_and_in_comments_of_several_lines(tmp_path, monkeypatch):
    (tmp_path / "x.py").write_text('"""First. What AWS does is unknown [U]. Last."""\nx = "[U] is data"  # a remark\n'
                                   '# Which of the two\n# it is remains unknown [U].\n\n# Another.\n', "utf-8")
    monkeypatch.setattr(reference, "PACKAGE", tmp_path)
    assert [said for _, said in reference.marked("")] == ["What AWS does is unknown [U].", "Which of the two it is remains unknown [U]."]
    assert list(prose("# a\n# b\n\n# c\n"))[-2:] == ["a\nb", "c"]
