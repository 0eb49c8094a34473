import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist.errors import StyleFileError, UnknownStyleError
from visagist.makeup.style import MAX_BYTES, Lips, Style, builtin_styles, load_style


def write(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_ten_built_in_styles_with_their_own_names():
    names = builtin_styles()
    assert len(names) == len(set(names)) == 10
    assert "rosewood" in names
    for name in names:
        style = load_style(name)
        assert style.name == name == name.lower()
        assert style.description
        assert style.lips.strength > 0


def test_own_file_and_defaults(tmp_path):
    path = write(tmp_path, 'name: mine\nlips: {colour: "#AA3344"}\n')
    style = load_style(path)
    assert style.lips.colour == "#aa3344"
    assert style.lips.strength > 0
    assert style.eyeliner.strength == 0  # a block that is left out is not applied
    assert load_style(str(path)) == style


def test_round_trip_through_yaml(tmp_path):
    style = load_style("smoky")
    again = load_style(write(tmp_path, yaml.safe_dump(style.model_dump())))
    assert again == style


@pytest.mark.parametrize(("given_name", "nearest"), [("rosewod", "rosewood"), ("Smokey", "smoky")])
def test_unknown_name_gives_the_nearest(given_name, nearest):
    with pytest.raises(UnknownStyleError, match=f"did you mean '{nearest}'"):
        load_style(given_name)


def test_unknown_name_far_from_all_lists_them():
    with pytest.raises(UnknownStyleError, match="rosewood"):
        load_style("zzzzqqqq")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nlips: {strenght: 0.5}", r"lips\.strenght.*did you mean 'strength'"),
        ("name: x\nlipz: {}", r"unknown field 'lipz'; did you mean 'lips'"),
        ("name: x\nlips: {colour: red}", r"'lips\.colour'.*#rrggbb"),
        ("name: x\nlips: {strength: 1.5}", r"'lips\.strength'.*less than or equal to 1.*1\.5"),
        ("name: x\nlips: {strength: .nan}", r"'lips\.strength'"),
        ("name: x\nlips: {liner: {width: -1}}", r"'lips\.liner\.width'"),
        ("name: x\nlips: {finish: wet}", r"'lips\.finish'.*matte.*wet"),
        ("name: x\nversion: 2", "'version'"),
        ("name: Bad Name", "'name'.*lower-case"),
        ("lips: {}", "'name' is missing"),
        ("name: x\nlips: 3", "'lips'"),
        ("- a\n- b", "must hold fields"),
        ("", "must hold fields"),
        ("name: [", "not valid YAML near line"),
        ("name: !!python/object/apply:os.system [ls]", "not valid YAML"),
    ],
)
def test_wrong_file_is_one_line_that_names_the_field(tmp_path, text, message):
    with pytest.raises(StyleFileError, match=message) as caught:
        load_style(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_unreadable_files(tmp_path):
    with pytest.raises(StyleFileError, match="No such file"):
        load_style(tmp_path / "absent.yaml")
    with pytest.raises(StyleFileError):
        load_style(tmp_path)
    big = write(tmp_path, "name: x\n#" + "x" * MAX_BYTES)
    with pytest.raises(StyleFileError, match="larger than"):
        load_style(big)
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(StyleFileError, match="UTF-8"):
        load_style(binary)


def test_nested_aliases_do_not_blow_up(tmp_path):
    lines = ["name: x", 'a: &a ["x","x","x","x","x","x","x","x","x"]']
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{two}: &{two} [" + ",".join([f"*{one}"] * 9) + "]")
    with pytest.raises(StyleFileError, match="unknown field 'a'"):
        load_style(write(tmp_path, "\n".join(lines)))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_style_or_a_style_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("s") / "any.yaml"
    path.write_bytes(data)
    try:
        assert isinstance(load_style(path), Style)
    except StyleFileError as error:
        assert "\n" not in str(error)


def test_styles_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Lips().strength = 0.1
