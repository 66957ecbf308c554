# Sourced by demo and test: a virtual environment with pinned versions, and a look at Java.

fail() {
    echo "$*" >&2
    exit 2
}

require_java() {
    local java="java"
    [ -n "${JAVA_HOME:-}" ] && java="$JAVA_HOME/bin/java"
    local how="Install a JDK 17 or later (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) and put java on the PATH or set JAVA_HOME."
    "$java" -version >/dev/null 2>&1 || fail "Spark needs Java 17 or later, and there is none. $how"
    local major
    major=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ] || fail "Spark needs Java 17 or later, '$java' is ${major:-unknown}. $how"
}

# prepare_environment EXTRAS [OTHERS ...]: leaves .venv active, with this project and its extras
# installed; an environment with one of the other sets of extras does as well.
prepare_environment() {
    local python="${PYTHON:-python3}"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        fail "Python 3.10 or later is needed, '$python' is none. Set PYTHON to one."

    local stamp=".venv/installed" versions extras
    versions="$("$python" --version) $(cat pyproject.toml scripts/constraints.txt | cksum)"
    local there
    there="$(cat "$stamp" 2>/dev/null || true)"
    for extras in "$@"; do
        [ "$there" = "$extras $versions" ] && break
    done
    if [ "$there" != "$extras $versions" ]; then
        extras="$1"
        echo "Making .venv with pinned versions ..."
        "$python" -m venv --clear .venv || fail "'$python' cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)."
        # Modules are compiled as they are imported, and most never are.
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
            --constraint scripts/constraints.txt --editable ".[$extras]" ||
            fail "The packages could not be installed."
        echo "$extras $versions" >"$stamp"
    fi
    # shellcheck disable=SC1091
    . .venv/bin/activate
    # Workers and driver use this Python; another Spark's settings stay out of it.
    export PYSPARK_PYTHON="$PWD/.venv/bin/python" PYSPARK_DRIVER_PYTHON="$PWD/.venv/bin/python"
    unset SPARK_HOME SPARK_CONF_DIR SPARK_REMOTE
}
