import pytest

from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.yaml import load_yaml, text_expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        *(
            (word, word)
            for word in ("on", "off", "yes", "no", "Yes", "NO", "y", "n", "1:30", "2026-01-01", "1_000", "<<")
        ),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-012", -12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'1.10'", "1.10"),
        ('"true"', "true"),
        ("!!str 1.10", "1.10"),
    ],
)
def test_scalars_are_those_of_the_yaml_1_2_core_schema(source: str, value: object) -> None:
    loaded = load_yaml(f"key: {source}", "file.yaml").value["key"]
    assert loaded == value
    assert type(loaded) is type(value)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("a: 1\nb: {c: 1,\n    c: 2}", "file.yaml:3: 'c' stands twice in the same mapping"),
        ("a: 1\n\na: 2", "file.yaml:3: 'a' stands twice in the same mapping"),
        ("a:\n  1.10: x", 'file.yaml:2: the key 1.10 is read as a number: put it in quotes, "1.10"'),
        ("null: x", 'file.yaml:1: the key null is read as nothing (null): put it in quotes, "null"'),
        ("? [a]\n: b", "file.yaml:1: a key must be text"),
        (
            "a: !!python/object:os.system x",
            "file.yaml:1: the tag tag:yaml.org,2002:python/object:os.system is not known here",
        ),
        ("a: !!timestamp 2026-01-01", "file.yaml:1: the tag tag:yaml.org,2002:timestamp is not known here"),
        ("a: .inf", "file.yaml:1: .inf is no number that JSON can hold"),
        ("a: 1e999", "file.yaml:1: 1e999 is no number that JSON can hold"),
        ("a: b: c", "file.yaml:1: not valid YAML: mapping values are not allowed here"),
        ("a: &x [*x]", "file.yaml:1: is nested too deeply or too large"),
        ("a: \x00", "file.yaml:1: holds a character that YAML does not allow"),
        (
            "a: 1\n---\nb: 2",
            "file.yaml:2: not valid YAML: expected a single document in the stream but found another document",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(source: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_yaml(source, "file.yaml")
    assert str(caught.value) == problem


def test_aliases_that_grow_without_bound_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    with pytest.raises(CatalogueError, match="too deeply or too large"):
        load_yaml("\n".join(lines), "file.yaml")


def test_deep_nesting_is_refused_and_does_not_exhaust_the_stack() -> None:
    with pytest.raises(CatalogueError, match="too deeply"):
        load_yaml("[" * 600 + "]" * 600, "file.yaml")


def test_all_mistakes_of_a_file_are_told() -> None:
    with pytest.raises(CatalogueError) as caught:
        load_yaml("a: 1\na: 2\nb: .nan", "file.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 3]


def test_every_value_knows_its_line_and_a_block_scalar_that_of_its_text() -> None:
    document = load_yaml("top:\n  inner:\n    text: x\n  block: |\n    first\n    second\n", "file.yaml")
    assert document.mark(("top", "inner")).line == 2
    assert document.mark(("top", "inner", "text")).line == 3
    assert document.mark(("top", "block")).line == 5
    assert document.mark(("top", "inner", "absent")).line == 2


def test_a_number_where_text_is_needed_is_told_as_it_was_written() -> None:
    document = load_yaml("version: 1.10\nname: '1.10'", "file.yaml")
    hint = text_expected(document.mark(("version",)), document.value["version"])
    assert hint == 'must be text, but 1.10 is read as a number: write "1.10" in quotes'
    assert text_expected(document.mark(("name",)), 1.1) is None
