"""Run uv with pip's settings, which it does not read itself: `python .ci/run_uv.py pip compile ...`.

A mirror, a certificate, a proxy or a folder of wheels that pip was told about then serves uv as well. Only the
standard library may be used here.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"

# pip's setting → the variable that says the same to uv, and what stands between several values.
_UV_NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}
_SECTIONS = (":env:", "install", "global")  # as in pip, the first that has a value wins
_CONFIG_LINE = re.compile(r"(:env:|install|global)\.([a-z-]+)=(.*)")


def pip_settings(listing: str) -> dict[str, str]:
    """The settings in force, from what `pip config list` prints."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        match = _CONFIG_LINE.fullmatch(line)
        if match:
            section, name, quoted = match.groups()
            found[section][name] = " ".join(" ".join(shlex.split(quoted)).replace("\\n", " ").split())
    return {name: value for section in reversed(_SECTIONS) for name, value in found[section].items()}


def uv_variables(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What to add to uv's environment; a variable that is already there is left alone."""
    variables = {"UV_SYSTEM_CERTS": "true"}
    for name, value in settings.items():
        if name in _UV_NAMES and value:
            variable, separator = _UV_NAMES[name]
            variables[variable] = separator.join(value.split())
    if "UV_EXTRA_INDEX_URL" in variables:
        # pip looks at every index; uv would stop at the first that knows the name. The hashes keep this safe.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if not environ.get(name)}


def run_uv(arguments: Sequence[str]) -> int:
    """Returns the exit status."""
    pip = [str(PYTHON), "-m", "pip", "config", "list"]
    listing = subprocess.run(pip, capture_output=True, text=True, check=False).stdout
    environ = {**os.environ, **uv_variables(pip_settings(listing), os.environ)}
    return subprocess.run([str(UV), *arguments], env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(run_uv(sys.argv[1:]))
