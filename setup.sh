#!/usr/bin/env bash
# Makes venv/ with everything Holdfast needs. `make setup` calls this; it works without make as well.
#
#   PYTHON=/path/to/python ./setup.sh      uses that Python (3.11 to 3.13) instead of the first one found
set -euo pipefail
cd "$(dirname "$0")"

venv="${VENV:-venv}"
python="${PYTHON:-}"

fits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

if [ -z "$python" ]; then
  for candidate in python3.11 python3.12 python3.13 python3 python; do
    if fits "$candidate"; then python="$candidate"; break; fi
  done
fi
if [ -z "$python" ] || ! fits "$python"; then
  echo "Holdfast needs Python 3.11, 3.12 or 3.13; ${python:-none of python3.11, python3.12, python3.13, python3} fits." >&2
  echo "Install one, or say where it is: PYTHON=/path/to/python ./setup.sh" >&2
  exit 1
fi

if ! fits "$venv/bin/python"; then
  if [ -e "$venv" ] && ! [ -e "$venv/pyvenv.cfg" ]; then
    echo "$venv is there and is no virtual environment: move it away, or name another with VENV=" >&2
    exit 1
  fi
  "$python" -m venv --clear "$venv"
fi
rm -f "$venv/.installed"
pip=("$venv/bin/python" -m pip --disable-pip-version-check --require-virtualenv)
"${pip[@]}" install --quiet --require-hashes -r requirements.lock
# No build isolation: the build backend is in the lock too, so nothing unpinned is ever downloaded.
"${pip[@]}" install --quiet --no-deps --no-build-isolation --editable .
touch "$venv/.installed"
echo "Holdfast is ready: $venv/bin/holdfast --help"
