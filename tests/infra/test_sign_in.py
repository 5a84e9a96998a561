"""Entra ID in place of function keys: what App Service authentication is asked for, and that keys switch it off."""

import re
from typing import Any, cast

import pytest

from tests.infra.bicep import FOLDER, MAIN, ROOT, body, evaluated, parsed

FILE = FOLDER / "modules" / "sign-in.bicep"
REGISTRATION = "00000000-0000-0000-0000-000000000001"
PIPELINE = "00000000-0000-0000-0000-000000000002"
PERSON = "00000000-0000-0000-0000-000000000003"
TENANT = "00000000-0000-0000-0000-000000000009"

# As far as it is used: https://learn.microsoft.com/azure/templates/microsoft.web/2024-04-01/sites/config-authsettingsv2
SCHEMA: dict[str, Any] = {
    "platform": {"enabled": bool},
    "globalValidation": {
        "requireAuthentication": bool,
        "unauthenticatedClientAction": {"AllowAnonymous", "RedirectToLoginPage", "Return401", "Return403"},
        "redirectToProvider": str,
        "excludedPaths": list,
    },
    "identityProviders": {
        "azureActiveDirectory": {
            "enabled": bool,
            "registration": {"clientId": str, "clientSecretSettingName": str, "openIdIssuer": str},
            "validation": {
                "allowedAudiences": list,
                "defaultAuthorizationPolicy": {"allowedApplications": list, "allowedPrincipals": {"identities": list}},
            },
        }
    },
    "login": {"preserveUrlFragmentsForLogins": bool, "tokenStore": {"enabled": bool}},
    "httpSettings": {"requireHttps": bool},
}


def login(**changed: object) -> dict[str, Any]:
    """The properties that are deployed, with what differs from a login for all."""
    known: dict[str, object] = {
        "requiresLogin": True,
        "clientId": REGISTRATION,
        "tenantId": TENANT,
        "allowedPrincipals": [],
        "allowedClients": [],
        "loginEndpoint": "https://login.microsoftonline.com/",
        **changed,
    }
    for name in ("allowedApplications", "allowedAudiences", "entraId"):
        known[name] = evaluated(parsed(FILE)["variables"][name]["value"], known)
    properties = body(parsed(FILE)["resources"]["authentication"])["properties"]
    return cast("dict[str, Any]", evaluated(properties, known))


def entra_id(**changed: object) -> dict[str, Any]:
    return cast("dict[str, Any]", login(**changed)["identityProviders"]["azureActiveDirectory"])


def test_it_is_the_configuration_of_the_app_that_the_platform_reads() -> None:
    resource = parsed(FILE)["resources"]["authentication"]
    assert (resource["type"], resource["api_version"]) == ("Microsoft.Web/sites/config", "2024-04-01")
    assert body(resource)["name"] == "authsettingsV2"
    assert body(resource)["parent"] == "app"


@pytest.mark.parametrize("requires_login", [True, False])
def test_its_properties_are_those_that_there_are(requires_login: bool) -> None:  # noqa: FBT001, a parameter of the test
    def check(value: object, schema: Any, path: str) -> None:  # noqa: ANN401, a piece of the schema
        if isinstance(schema, dict):
            assert isinstance(value, dict), path
            assert value.keys() <= schema.keys(), path
            for name, each in value.items():
                check(each, schema[name], f"{path}.{name}")
        elif isinstance(schema, set):
            assert value in schema, path
        else:
            assert isinstance(value, schema), path

    check(login(requiresLogin=requires_login), SCHEMA, "properties")


def test_with_entra_nothing_is_reached_without_a_login_and_no_path_is_left_out() -> None:
    found = login()
    assert found["platform"]["enabled"] is True
    assert found["globalValidation"] == {
        "requireAuthentication": True,
        "unauthenticatedClientAction": "RedirectToLoginPage",
        "redirectToProvider": "azureactivedirectory",
        "excludedPaths": [],
    }
    assert found["httpSettings"]["requireHttps"] is True
    assert found["login"] == {"preserveUrlFragmentsForLogins": True, "tokenStore": {"enabled": False}}


def test_with_keys_it_is_switched_off_where_it_was_on() -> None:
    found = login(requiresLogin=False, clientId="")
    assert found["platform"]["enabled"] is False
    assert found["globalValidation"]["requireAuthentication"] is False
    assert found["identityProviders"] == {}


def test_tokens_are_of_the_tenant_and_for_this_registration() -> None:
    assert entra_id()["registration"]["openIdIssuer"] == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert entra_id()["registration"]["clientId"] == REGISTRATION
    assert entra_id()["validation"]["allowedAudiences"] == [REGISTRATION, f"api://{REGISTRATION}"]


def test_who_is_let_in_can_be_said_by_person_and_by_application() -> None:
    policy = entra_id(allowedPrincipals=[PERSON], allowedClients=[PIPELINE])["validation"]["defaultAuthorizationPolicy"]
    # The page's users come by way of the registration itself.
    assert policy == {
        "allowedApplications": [REGISTRATION, PIPELINE],
        "allowedPrincipals": {"identities": [PERSON]},
    }
    # An empty list is no restriction: https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad
    assert entra_id()["validation"]["defaultAuthorizationPolicy"] == {
        "allowedApplications": [],
        "allowedPrincipals": {"identities": []},
    }


def test_as_many_principals_as_the_platform_takes() -> None:
    # 500 characters in all: https://learn.microsoft.com/azure/app-service/configure-authentication-provider-aad
    assert 13 * len(PERSON) + 12 <= 500 < 14 * len(PERSON)
    assert {"type": "max_length", "argument": 13} in parsed(MAIN)["parameters"]["apiAllowedPrincipals"]["decorators"]


def test_it_has_no_secret_but_the_apps_identity() -> None:
    name = entra_id()["registration"]["clientSecretSettingName"]
    setting = parsed(FOLDER / "modules" / "function-app.bicep")["variables"]["loginSettings"]["value"]
    known = {"identityClientId": "the app's identity"}
    assert evaluated(setting, {**known, "requiresLogin": True}) == {name: "the app's identity"}
    assert evaluated(setting, {**known, "requiresLogin": False}) == {}
    # Both are asked by the same word as the app itself.
    main = MAIN.read_text()
    assert "var requiresLogin = apiAuth == 'entra'" in main
    assert "API_AUTH: apiAuth" in main
    assert main.count("requiresLogin: requiresLogin") == 2


def test_the_page_on_deployment_has_the_commands_for_it() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    section = page.partition("## Entra ID in place of keys")[2].partition("\n## ")[0]
    assert {"API_AUTH", "API_CLIENT_ID", "API_ALLOWED_PRINCIPALS", "API_ALLOWED_CLIENTS", "API_TENANT_ID"} <= set(
        re.findall(r"API_[A-Z_]+", section)
    )
    for part in ("/.auth/login/aad/callback", "api://AzureADTokenExchange", "appRoleAssignmentRequired=true"):
        assert part in section
