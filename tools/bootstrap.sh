#!/bin/sh
# Makes a virtual environment: sh tools/bootstrap.sh FOLDER REQUIREMENTS [BOOK]
#
# With BOOK, the folder of the book's own package, REQUIREMENTS must have a hash for every file that is installed; that
# package follows, from where it stands, and nothing is fetched for it.
#
# The Makefile runs it when FOLDER/.installed is missing or older than the pins. The interpreter is $PYTHON if that is
# set, else the first suitable one on PATH. FOLDER/.installed is there only while an installation is complete: a folder
# without it was interrupted and is made anew.
# This is a shell script because it must be able to say that there is no Python.
set -u
folder=$1
requirements=$2
book=${3-}
# TensorFlow 2.20 has no wheels for a newer Python, Keras 3.13 needs 3.11.
wanted="Python 3.11, 3.12 or 3.13"

refuse() {
    echo "$1" >&2
    exit 1
}

version_of() { # "3.11", or nothing where the command does not run
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

chosen=
reason="none was found on PATH"
if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3 python3.13 python3.12 python3.11; fi
for candidate; do
    version=$(version_of "$candidate")
    case $version in
    3.11 | 3.12 | 3.13)
        if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
            chosen=$candidate
            break
        fi
        found="$candidate ($version) has no venv module (on Debian and Ubuntu: apt install python$version-venv)"
        ;;
    "") found=${PYTHON:+"$candidate does not run"} ;;
    *) found="$candidate is Python $version" ;;
    esac
    # The first reason is about the Python that the user is most likely to mean.
    [ "$reason" = "none was found on PATH" ] && [ -n "$found" ] && reason=$found
done
[ -n "$chosen" ] || refuse "The book needs $wanted with its venv module, but $reason; name another with PYTHON=/path/to/python3."

if [ ! -e "$folder/.installed" ]; then
    "$chosen" -m venv --clear "$folder" || refuse "$chosen could not make a virtual environment in $folder; the lines above say why."
fi
rm -f "$folder/.installed"
echo "Installing $requirements into $folder; the first time this takes some minutes."
install() {
    # Quiet twice: errors are shown, warnings about the settings of this machine's pip are not.
    PIP_DISABLE_PIP_VERSION_CHECK=1 "$folder/bin/python" -m pip install --quiet --quiet "$@" ||
        refuse "The packages of $requirements could not be installed into $folder; the lines above say why."
}
install ${book:+--require-hashes} --requirement "$requirements"
[ -z "$book" ] || install --no-deps --no-build-isolation --editable "$book"
touch "$folder/.installed"
