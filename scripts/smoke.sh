#!/bin/sh
# Run the five cases of smoke.py against any site.   usage: scripts/smoke.sh URL KEY [EMAIL]
set -eu
exec "${PYTHON:-python3}" "$(dirname "$0")/smoke.py" "$@"
