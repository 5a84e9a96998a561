"""Runs checkov, in an environment of its own: it pins versions that the app's own tools can't have.

checkov-requirements.txt has every package with its hashes. It asks for an older parser than the one that reads these
files, hence the override; to renew it:

    echo checkov | uv pip compile - --override checkov-overrides.txt --generate-hashes --universal \\
        --python-version 3.13 --no-header --no-annotate -o checkov-requirements.txt
"""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.tool_environment import ensure_environment

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "checkov-requirements.txt"
LAUNCHER = HERE / "checkov_launcher.py"


def checked(folder: Path) -> dict[str, Any]:
    """What checkov finds in the Bicep files of a folder."""
    # The override of its parser, above, would not be known here: the list is taken as it is.
    python = ensure_environment("checkov", REQUIREMENTS)
    # Nothing is downloaded and nothing reported: what checkov knows, it brings.
    options = ["--framework", "bicep", "--skip-download", "--output", "json", "--compact", "--soft-fail"]
    command = [str(python), str(LAUNCHER), "--directory", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"checkov ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
