#!/bin/sh
# Linux and macOS: `sh start.sh`. Installs the workbook in this folder, without a network, and starts it (see start.py).
cd "$(dirname "$0")" || exit 1
wanted=$(cat wheels/made-for-python)
for python in "python$wanted" python3 python; do
    if "$python" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$wanted')" 2>/dev/null; then
        exec "$python" start.py "$@"
    fi
done
echo "There is no Python $wanted here, for which this bundle was made: install it, or ask for a bundle for yours." >&2
exit 1
