"""The Bicep files as they stand: that they can be read, fit together, and give nobody more than is said here."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.store import TABLES
from tests.infra.bicep import FOLDER, MAIN, ROOT, body, code, decorated, defaults, dotted, evaluated, files, parsed

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles, the headings and IDs of its tables.
BUILT_IN_ROLES = {
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Blob Delegator": "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
    "Storage Queue Data Contributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "Storage Queue Data Message Processor": "8a0f0c08-91a1-4084-bc3d-661d67233fed",
    "Storage Queue Data Message Sender": "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "Storage Table Data Reader": "76199698-9eea-4c19-bc75-cec21354c6b6",
    "EventGrid Data Sender": "d5a91429-5739-47e2-a06b-3470a27159e7",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}

# Who gets which role on what. Whoever widens one changes this line too.
ASSIGNMENTS = {
    ("roles-host", "hostBlobs"): ("storageBlobDataOwner", "storageAccounts"),
    ("roles-host", "hostTables"): ("storageTableDataContributor", "storageAccounts"),
    ("roles-host", "telemetry"): ("monitoringMetricsPublisher", "components"),
    ("roles-ingestion", "queueWork"): ("storageQueueDataContributor", "queues"),
    ("roles-ingestion", "tableWork"): ("storageTableDataContributor", "tables"),
    ("roles-ingestion", "upstream"): ("storageQueueDataMessageSender", "queues"),
    ("roles-ingestion", "telling"): ("storageQueueDataMessageSender", "queues"),
    ("roles-ingestion", "takers"): ("storageQueueDataMessageProcessor", "queues"),
    ("roles-event-grid", "publishing"): ("eventGridDataSender", "topics"),
    ("roles-ingestion", "consumers"): ("storageQueueDataMessageProcessor", "queues"),
    ("roles-ingestion", "readers"): ("storageTableDataReader", "tables"),
    ("roles-ingestion", "watchers"): ("storageQueueDataContributor", "queues"),
    ("blob-access", "containerReaders"): ("storageBlobDataReader", "containers"),
    ("blob-access", "accountReaders"): ("storageBlobDataReader", "storageAccounts"),
    ("blob-access", "delegators"): ("storageBlobDelegator", "storageAccounts"),
}

# What can be known of a key, a password or a signature in a file that is to have none.
SECRETS = re.compile(
    r"\blist[A-Z]\w*\(|AccountKey|SharedAccessKey|SharedAccessSignature|DefaultEndpointsProtocol|[?&]sig=|@secure|"
    r"\$\{\{\s*secrets\.|password|client-secret",
    re.IGNORECASE,
)

EVERY_FILE = pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)


@EVERY_FILE
def test_it_parses(file: Path) -> None:
    tree = parsed(file)
    assert any(tree.get(kind) for kind in ("resources", "modules", "types", "variables"))


def test_every_file_that_a_file_names_is_there() -> None:
    named = [
        (file, path)
        for file in files()
        for path in re.findall(
            r"(?:^module \w+ |^import [^']+|load(?:Text|Json|Yaml)Content\()'([^']+)'", file.read_text(), re.MULTILINE
        )
    ]
    assert len(named) > 10
    assert [(file.name, path) for file, path in named if not (file.parent / path).is_file()] == []


@EVERY_FILE
def test_a_module_is_given_what_it_asks_for(file: Path) -> None:
    for module in parsed(file).get("modules", {}).values():
        path = file.parent / module["detail"]["path"]
        given = set(body(module)["params"])
        parameters = parsed(path).get("parameters", {})
        required = {name for name, each in parameters.items() if each["default"] is None}
        assert required - given == set(), path.name
        assert given - set(parameters) == set(), path.name
        # What is a parameter here too would otherwise be left at the module's own default.
        assert (set(parameters) & set(parsed(file)["parameters"])) - given == set(), path.name


@EVERY_FILE
def test_every_parameter_and_output_says_what_it_is(file: Path) -> None:
    tree = parsed(file)
    for kind in ("parameters", "outputs", "types"):
        for name, each in tree.get(kind, {}).items():
            assert decorated(each, "description"), name


@EVERY_FILE
def test_nothing_is_declared_and_not_used(file: Path) -> None:
    tree, text = parsed(file), code(file)
    exported = {name for name, each in tree.get("variables", {}).items() if {"type": "export"} in each["decorators"]}
    names = {*tree.get("parameters", {}), *tree.get("variables", {}), *tree.get("imports", {})} - exported
    assert {name for name in names if len(re.findall(rf"\b{name}\b", text)) == 1} == set()


def test_each_role_is_the_one_that_its_name_says() -> None:
    ids = parsed(FOLDER / "modules" / "role-ids.bicep")["variables"]["roleIds"]["value"]
    # Not each has a space where a word begins: EventGrid Data Sender.
    assert ids == {name[0].lower() + name[1:].replace(" ", ""): value for name, value in BUILT_IN_ROLES.items()}


def test_roles_are_those_that_are_said_here_and_on_no_wider_scope() -> None:
    found = {}
    for file in files():
        resources = parsed(file).get("resources", {})
        for name, resource in resources.items():
            if resource["type"] == "Microsoft.Authorization/roleAssignments":
                config = body(resource)
                definition = config["properties"]["roleDefinitionId"]["function"]["parameters"]["resource_name_1"]
                scope = resources[dotted(config["scope"])]["type"].rpartition("/")[2]
                found[file.stem, name] = (dotted(definition).removeprefix("roleIds."), scope)
    assert found == ASSIGNMENTS


def test_each_role_assignment_has_a_name_that_stays_a_kind_of_principal_and_its_reason_beside_it() -> None:
    for file in files():
        text = file.read_text()
        for block in re.findall(
            r"((?://[^\n]*\n)*)resource (\w+) 'Microsoft.Authorization/roleAssignments@[^']*' = ([\s\S]*?\n}\]?\n)",
            text,
        ):
            reason, name, content = block
            assert reason, f"{file.name}: {name} has no comment above it"
            assert "principalType:" in content, name
            role = re.search(r"roleDefinitions', (roleIds\.\w+)\)", content)
            assert role
            # Scope, principal and role: the same assignment has the same name each time, and no other has.
            assert re.search(rf"name: guid\([\w\[\]]+\.id, [\w.]+, {re.escape(role[1])}\)", content), name


def test_no_file_of_the_deployment_has_a_secret_or_fetches_one() -> None:
    sources = [*FOLDER.rglob("*.bicep*"), ROOT / "azure.yaml", *(ROOT / ".github").rglob("*.yml")]
    assert len(sources) > 10
    found = [(file.name, match[0]) for file in sources for match in SECRETS.finditer(file.read_text())]
    assert found == []


@EVERY_FILE
def test_no_output_hands_out_what_lets_one_in(file: Path) -> None:
    outputs = re.findall(r"^output .*$", file.read_text(), re.MULTILINE)
    assert [line for line in outputs if re.search(r"connectionstring|key|sas|token", line, re.IGNORECASE)] == []


def test_every_storage_account_and_app_takes_identities_alone_and_tls() -> None:
    account = body(parsed(FOLDER / "modules" / "storage.bicep")["resources"]["account"])["properties"]
    assert (account["allowSharedKeyAccess"], account["allowBlobPublicAccess"]) == (False, False)
    assert (account["defaultToOAuthAuthentication"], account["supportsHttpsTrafficOnly"]) == (True, True)
    assert account["minimumTlsVersion"] == "TLS1_2"
    resources = parsed(FOLDER / "modules" / "function-app.bicep")["resources"]
    app = body(resources["app"])["properties"]
    assert app["httpsOnly"] is True
    assert (app["siteConfig"]["minTlsVersion"], app["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    assert [body(resources[name])["properties"]["allow"] for name in ("ftp", "scm")] == [False, False]
    component = body(parsed(FOLDER / "modules" / "monitoring.bicep")["resources"]["component"])["properties"]
    assert component["DisableLocalAuth"] is True


def test_the_app_runs_on_the_python_that_it_is_tested_on() -> None:
    app = body(parsed(FOLDER / "modules" / "function-app.bicep")["resources"]["app"])["properties"]
    version = (ROOT / ".python-version").read_text().strip()
    assert app["functionAppConfig"]["runtime"] == {"name": "python", "version": version}
    assert app["functionAppConfig"]["deployment"]["storage"]["type"] == "blobContainer"


def test_the_app_asks_for_nothing_that_flex_consumption_refuses() -> None:
    # Of ftpsState and others: "The following site configuration property … for Flex Consumption sites is invalid".
    # Not in every region: https://github.com/Azure/terraform-azurerm-avm-res-web-site/issues/360
    app = body(parsed(FOLDER / "modules" / "function-app.bicep")["resources"]["app"])["properties"]
    assert set(app["siteConfig"]) <= {"minTlsVersion", "scmMinTlsVersion", "http20Enabled", "remoteDebuggingEnabled"}


def test_the_longest_names_are_not_too_long() -> None:
    longest = decorated(parsed(MAIN)["parameters"]["workloadName"], "max_length")
    unique = "x" * 13  # what uniqueString gives
    account = evaluated(
        parsed(MAIN)["variables"]["storageAccountName"]["value"], {"workloadName": "w" * longest, "token": unique}
    )
    assert len(str(account)) <= 24
    # The host takes its ID from the first 32 characters: two apps with the same ones share their timers.
    assert len(f"func-{'w' * longest}-{unique}") <= 32


def test_tables_and_queues_are_those_of_the_app() -> None:
    variables = parsed(MAIN)["variables"]
    known = {**defaults(MAIN), "resultTableNames": variables["resultTableNames"]["value"]}
    tables = evaluated(variables["tableNames"]["value"], known)
    source = (ROOT / "shared" / "app.py").read_text()
    assert isinstance(tables, list)
    assert sorted(tables) == sorted(TABLES)
    assert variables["queueNames"]["value"] == ["operationsQueue", "retryQueue", "pollQueue"]
    queues = variables["resultsQueueNames"]["value"]["operator"]["operands"]
    assert (queues["true_value"], queues["false_value"]) == ([], ["resultsQueue"])
    for name in ("queues-and-tables", "roles-ingestion"):
        assert "name => '${name}-poison'" in (FOLDER / "modules" / f"{name}.bicep").read_text()
    assert 'f"{name}-poison"' in source


def test_a_script_of_adx_quotes_names_runs_when_it_changes_and_leaves_no_rights_behind() -> None:
    text = (FOLDER / "modules" / "adx.bicep").read_text()
    script = body(parsed(FOLDER / "modules" / "adx.bicep")["resources"]["ingestors"])["properties"]
    command = re.search(r"table => '(.*)'\)$", text, re.MULTILINE)
    assert command
    assert command[1].replace("\\'", "'").startswith(".add table ['${table}'] ingestors ('aadapp=${clientId};")
    assert script["continueOnErrors"] is False
    assert "scriptContent" in script["forceUpdateTag"]["function"]["parameters"].values()
    assert script["principalPermissionsAction"] == "RemovePermissionOnScriptCompletion"
    # The property counts as sensitive: https://learn.microsoft.com/azure/templates/microsoft.kusto/clusters/databases/scripts
    assert "#disable-next-line use-secure-value-for-secure-inputs\n    scriptContent:" in text


def _compiler() -> list[str] | None:
    if shutil.which("bicep"):
        return ["bicep"]
    az = shutil.which("az")
    if az and subprocess.run([az, "bicep", "version"], capture_output=True, check=False).returncode == 0:
        return [az, "bicep"]
    return None


@pytest.mark.skipif(_compiler() is None, reason="neither bicep nor az bicep is on the PATH")
@pytest.mark.parametrize(
    ("command", "file"), [("build", "main.bicep"), ("lint", "main.bicep"), ("build-params", "main.bicepparam")]
)
def test_the_compiler_has_nothing_to_say(command: str, file: str) -> None:
    compiler = _compiler() or []
    named = [str(FOLDER / file)] if compiler == ["bicep"] else ["--file", str(FOLDER / file)]
    output = [] if command == "lint" else ["--stdout"]
    env = {**os.environ, "KUSTO_INGEST_URI": "https://ingest-cluster.westeurope.kusto.windows.net"}
    done = subprocess.run([*compiler, command, *named, *output], env=env, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if re.search(r"\b(Warning|Error)\b", line)]
    assert (done.returncode, said) == (0, [])
