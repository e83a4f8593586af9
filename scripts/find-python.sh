#!/bin/sh
# Prints the path of a Python that can build the environment: 3.12 or later, with venv and pip.
# Every candidate is run, since a version manager's shim may exist and still fail.

suits() {
    [ -n "$1" ] && "$1" -c '
import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1
}

on_path() {
    (IFS=:; for folder in $PATH; do echo "${folder:-.}/$1"; done)
}

candidates() {
    for name in python3.14 python3.13 python3.12 python3 python; do on_path "$name"; done
    ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 2>/dev/null
}

if suits "$PYTHON"; then
    echo "$PYTHON"
    exit 0
fi
found=$(candidates | while IFS= read -r python; do
    if [ -x "$python" ] && suits "$python" </dev/null; then
        echo "$python"
        break
    fi
done)
if [ -n "$found" ]; then
    echo "$found"
    exit 0
fi
echo "bayesgmm needs Python 3.12 or later with its venv module, and none was found: install one (apt install python3.12 python3.12-venv, or pyenv install 3.12, or python.org), or name it (make PYTHON=/path/to/python)." >&2
exit 1
