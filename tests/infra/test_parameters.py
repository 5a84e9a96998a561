"""main.bicepparam, which the parser does not read: it assigns what main.bicep knows, and keeps its defaults."""

import json
import re

from tests.infra.bicep import FOLDER, MAIN, decorated, parsed

FILE = FOLDER / "main.bicepparam"
ASSIGNMENT = re.compile(
    r"param (?P<name>\w+) = (?P<loose>any\()?(?:(?P<kind>int|bool|json)\()?"
    r"readEnvironmentVariable\('(?P<variable>\w+)'(?:, '(?P<default>[^']*)')?\){1,3}"
)
ASSIGNED = {match["name"]: match for match in map(ASSIGNMENT.fullmatch, FILE.read_text().splitlines()) if match}
PARAMETERS = parsed(MAIN)["parameters"]
# azd's own names for them.
OF_AZD = {"environmentName": "AZURE_ENV_NAME", "location": "AZURE_LOCATION"}


def test_it_is_the_file_of_main_bicep_and_has_nothing_but_assignments_and_comments() -> None:
    first, *lines = FILE.read_text().splitlines()
    assert first == "using 'main.bicep'"
    assert [line for line in lines if line and not line.startswith("//") and not ASSIGNMENT.fullmatch(line)] == []


def test_every_parameter_can_be_given_by_a_variable_of_its_name_and_no_other_is() -> None:
    assert list(ASSIGNED) == list(PARAMETERS)
    for name, match in ASSIGNED.items():
        in_capitals = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
        assert match["variable"] == OF_AZD.get(name, in_capitals)


def test_each_is_read_as_what_it_is() -> None:
    kinds = {"string": None, "int": "int", "bool": "bool", "object": "json"}
    for name, match in ASSIGNED.items():
        declared = PARAMETERS[name]["type"]
        assert match["kind"] == (kinds[declared] if isinstance(declared, str) else "json"), name


def test_a_number_of_a_few_is_read_as_the_compiler_takes_it() -> None:
    # int() is not one of "512 | 2048": https://github.com/Azure/bicep/issues/18416, of a text it knows the value.
    of_a_few = {name for name, each in PARAMETERS.items() if each["type"] == "int" and decorated(each, "allowed")}
    assert of_a_few == {name for name, match in ASSIGNED.items() if match["loose"]} == {"instanceMemoryMb"}


def test_parentheses_are_closed() -> None:
    assert [match[0] for match in ASSIGNED.values() if match[0].count("(") != match[0].count(")")] == []


def test_what_is_not_set_has_the_default_of_main_bicep() -> None:
    for name, match in ASSIGNED.items():
        default = match["default"]
        if match["kind"] is not None:
            default = json.loads(default)
        if name == "environmentName":
            # azd always sets it; without azd there is one to a resource group.
            assert (PARAMETERS[name]["default"], default) == (None, "tracker")
        else:
            assert default == PARAMETERS[name]["default"], name


def test_a_value_that_must_be_given_stops_the_deployment_when_it_is_not() -> None:
    required = {name for name, each in PARAMETERS.items() if each["default"] is None}
    assert required == {"environmentName", "kustoIngestUri"}
    assert ASSIGNED["kustoIngestUri"]["default"] is None


def test_no_output_comes_back_as_the_value_of_a_parameter() -> None:
    # azd keeps outputs beside what was set, and hands both to the next deployment.
    outputs = set(parsed(MAIN)["outputs"])
    assert len(outputs) > 5
    assert outputs & {match["variable"] for match in ASSIGNED.values()} == set()


def test_the_page_explains_every_parameter_with_its_default() -> None:
    page = (FOLDER / "README.md").read_text()
    explained = re.findall(r"^\| `(\w+)` \| [\w\[\]]+ \| ([^|]+) \| \w", page, re.MULTILINE)
    assert explained == [(name, _in_words(each["default"])) for name, each in PARAMETERS.items()]


def _in_words(default: object) -> str:
    if default is None:
        return "required"
    if default in ("", [], {}):
        return "empty"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_an_allowed_value_is_the_default() -> None:
    for name, each in PARAMETERS.items():
        allowed = decorated(each, "allowed")
        assert allowed is None or each["default"] in allowed, name
