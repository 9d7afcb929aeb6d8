#!/bin/sh
# Make .venv on first use, and again when requirements.lock changes. When it is up to date nothing is fetched.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.lock-checksum
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(cksum <requirements.lock)" ] && .venv/bin/python -c '' 2>/dev/null; then
    exit 0
fi

# Newest first, as far as every package has wheels for it. A name alone says nothing: a version manager's shim may be on PATH for a Python that it does not run.
without_venv=
for name in python3.14 python3.13 python3.12 python3.11 python3 python; do
    version=$("$name" -c 'import sys; sys.exit(sys.version_info < (3, 11)) or print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
        exec "$name" .ci/install.py "$stamp" "$(cksum <requirements.lock)"
    fi
    without_venv=${without_venv:-$version}
done

if [ -n "$without_venv" ]; then
    echo "Python $without_venv here has no ensurepip: install it (Debian, Ubuntu: apt install python$without_venv-venv) and run this again." >&2
else
    echo "Tidings needs Python 3.11 or newer: install it (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python) and run this again." >&2
fi
exit 1
