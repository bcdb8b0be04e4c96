#!/usr/bin/env bash
# What this machine has of what Cinelake needs before anything can be installed: a Python and a Java.
#
#   preflight.sh             prints the Python to use; else the first line says what is missing and how to get it
#   preflight.sh packages    prints this system's packages, as README lists them
#
# Bash alone, as nothing else need be there yet. JAVA_HOME and PYTHON say which to use, where there are several;
# OS_RELEASE and JVM_FOLDER where to look, for its tests.
set -u

PYTHONS="3.11 3.12 3.13"
JAVAS="17 21"

# What brings them, by system: `debian-12` is ID and VERSION_ID of os-release.
packages() {
  case "$1" in
    debian-12) echo "make python3-venv openjdk-17-jre-headless" ;;
    debian-13) echo "make python3-venv openjdk-21-jre-headless" ;;
    ubuntu-22.04) echo "make python3.11-venv openjdk-17-jre-headless" ;;
    ubuntu-24.04) echo "make python3-venv openjdk-21-jre-headless" ;;
    macos) echo "python@3.13 openjdk@21" ;;
  esac
}

system() {
  if [ "$(uname -s)" = Darwin ]; then
    echo macos
  elif [ -r "${OS_RELEASE:=/etc/os-release}" ]; then
    # In a shell of its own, as the file sets variables.
    (. "$OS_RELEASE" && echo "${ID:-}-${VERSION_ID:-}")
  fi
}

cure() {
  local system found
  system=$(system)
  found=$(packages "$system")
  if [ "$system" = macos ]; then
    echo "What this system needs: 'brew install $found', then 'export JAVA_HOME=\"\$(brew --prefix openjdk@21)\"'."
  elif [ -n "$found" ]; then
    echo "What this system needs: 'apt-get install -y $found' as root."
  else
    echo "Get it from your system's packages; a Python comes from 'pyenv install 3.13' or 'uv python install 3.13', too."
  fi
}

in_words() { # "17 21" -> "17 or 21", "3.11 3.12 3.13" -> "3.11, 3.12 or 3.13"
  echo "$1" | sed -E 's/ ([^ ]+)$/ or \1/; s/([0-9]) ([0-9])/\1, \2/g'
}

is_one_of() { case " $2 " in *" $1 "*) return 0 ;; esac; return 1; }

# "3.12 ready", or "3.12 bare" where Python has no ensurepip, which Debian and Ubuntu keep in a package of its own.
python_says() {
  "$1" -c '
import sys
try:
    import ensurepip, venv
    state = "ready"
except ImportError:
    state = "bare"
print("%d.%d %s" % (sys.version_info[0], sys.version_info[1], state))' 2>/dev/null
}

# The Python to use, or what there is instead.
find_python() {
  local each says version found=""
  for each in ${PYTHON:-python3.11 python3.12 python3.13 python3 python}; do
    says=$(python_says "$each") || continue
    version=${says% *}
    if ! is_one_of "$version" "$PYTHONS"; then
      found=${found:-"$each is $version"}
    elif [ "${says#* }" = bare ]; then
      found="$each ($version) cannot make virtual environments: python$version-venv is missing"
    else
      echo "$each"
      return 0
    fi
  done
  [ -n "$found" ] || found=${PYTHON:+"$PYTHON does not run"}
  echo "Python $(in_words "$PYTHONS") is missing: ${found:-there is no python3}."
  return 1
}

# The version that `java -version` tells: 8 for "1.8.0_391", 17 for "17.0.15", 24 for "24-ea"; nothing where it tells none.
java_version() { sed -nE 's/^.*version "(1\.)?([0-9]+).*$/\2/p' | head -n 1; }

# Nothing, or what there is instead of a Java that serves.
find_java() {
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java version
  version=$("$java" -version 2>&1 | java_version)
  is_one_of "${version:-none}" "$JAVAS" && return 0
  if [ -n "$version" ]; then
    version="$java is $version"
  elif command -v "$java" >/dev/null; then
    # As on macOS, whose java only says that there is none.
    version="$java tells no version"
  else
    version="there is no $java"
  fi
  echo "Java $(in_words "$JAVAS") is missing: $version."
  return 1
}

# One that is there already, but is not the one that `java` means.
other_java() {
  local home version
  for home in "${JVM_FOLDER:-/usr/lib/jvm}"/* /opt/homebrew/opt/openjdk@* /usr/local/opt/openjdk@*; do
    [ -x "$home/bin/java" ] || continue
    version=$("$home/bin/java" -version 2>&1 | java_version)
    is_one_of "${version:-none}" "$JAVAS" || continue
    echo "Java $version is in $home: 'export JAVA_HOME=$home'."
    return
  done
}

if [ "${1:-}" = packages ]; then
  packages "$(system)"
  exit
fi
python=$(find_python)
has_python=$?
java=$(find_java)
has_java=$?
if [ $has_python = 0 ] && [ $has_java = 0 ]; then
  echo "$python"
  exit 0
fi
{
  [ $has_python = 0 ] && python=""
  echo "${python:+$python }${java:+$java }$(cure)"
  [ $has_java = 0 ] || other_java
  echo "Where there are several, 'make PYTHON=/path/to/python3.12' and JAVA_HOME say which to use."
} >&2
exit 1
