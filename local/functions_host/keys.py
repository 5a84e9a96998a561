"""The keys that open HTTP functions, as the secret manager of Azure's host tells them apart."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from local.functions_host.settings import SettingsRefused

SETTING = "FUNCTIONS_HOST_KEYS"
MASTER = "_master"


@dataclass(frozen=True)
class Keys:
    """The keys by their names.

    `_master` opens every function, `<function>/<name>` that function, and any other name every function but those of
    level admin.

    Attributes:
        by_name: The keys; without any, all functions are open, as with Core Tools.
    """

    by_name: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Reads them from the setting.

        Args:
            environment: Where settings are.

        Returns:
            The keys.

        Raises:
            SettingsRefused: The setting is no object of texts.
        """
        try:
            keys = json.loads(environment.get(SETTING) or "{}")
        except ValueError as error:
            raise SettingsRefused(f"the setting {SETTING} is not JSON") from error
        if not isinstance(keys, dict) or not all(isinstance(key, str) and key for key in keys.values()):
            raise SettingsRefused(f"the setting {SETTING} must be an object of names and keys, and no key empty")
        return cls(keys)

    def admit(self, key: str | None, *, function: str, level: str) -> bool:
        """Returns whether a request may call a function.

        Args:
            key: The key that it brought, if any.
            function: The function's name.
            level: The function's authLevel, in small letters.
        """
        if level == "anonymous" or not self.by_name:
            return True
        brought = (key or "").encode()
        # All are compared: the time must not tell which one was nearly right.
        right = [name for name, value in self.by_name.items() if hmac.compare_digest(value.encode(), brought)]
        return any(_opens(name, function, level) for name in right)


def _opens(name: str, function: str, level: str) -> bool:
    owner, separator, _ = name.partition("/")
    return name == MASTER or (level == "function" and (not separator or owner.casefold() == function.casefold()))
