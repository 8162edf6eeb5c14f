#!/bin/sh
# Make .venv in this folder with what the model needs: sh install.sh
# Wheels in wheels/ are used instead of the network.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))'; then
    echo "error: $python is older than 3.9: set PYTHON to a newer one" >&2
    exit 2
fi
if [ "$(uname -m)" != "@MACHINE@" ]; then
    echo "note: made for @MACHINE@, and this is $(uname -m)" >&2
fi
if [ "@MACHINE@" = armv7l ] && ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "error: no numpy: sudo apt install python3-numpy python3-pil" >&2
    exit 2
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "error: no venv module: sudo apt install python3-venv" >&2
    exit 2
fi

# The system's packages stay visible: picamera2 comes from there, on 32 bits numpy, too.
"$python" -m venv --system-site-packages .venv
if [ -d wheels ]; then
    set -- --no-index --find-links wheels
else
    set --
fi
.venv/bin/python -m pip install --disable-pip-version-check "$@" -r requirements.txt
.venv/bin/python run.py bench --runs 10 --seconds 0.5
