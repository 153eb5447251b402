#!/usr/bin/env bash
# The compiled modules once under ASan and UBSan (make sanitize): the golden cases, the properties and the corpus. Needs
# gcc. Builds a copy of the sources in build/sanitize, so that the modules in ext/ stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
python="$PWD/.venv/bin/python"
tree="$PWD/build/sanitize"
mkdir -p "$tree"
git ls-files -z | xargs -0 cp --parents --update -t "$tree"
cd "$tree"
sed -i 's/"-O3"/"-O1"/' setup.py  # -O3 with sanitizers takes a quarter of an hour
CFLAGS="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=undefined" \
    "$python" setup.py -q build_ext --inplace
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
export SORTLINE_EXAMPLES="${SORTLINE_EXAMPLES:-20}" SORTLINE_SETS="${SORTLINE_SETS:-3}"
exec "$python" -m pytest -q -p no:cacheprovider --timeout 0 -k "not nothing_is_kept" \
    tests/cases tests/property tests/fuzz tests/unit/test_ndjson.py "$@"
