"""The first line on a machine that lacks something names it and the cure."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cinelake.settings import PROJECT_ROOT
from cinelake.stack.jars import JAVA_VERSIONS

SCRIPT = PROJECT_ROOT / "cinelake" / "stack" / "preflight.sh"
SYSTEMS = {
    "Debian 12": 'ID=debian\nVERSION_ID="12"\n',
    "Debian 13": 'ID=debian\nVERSION_ID="13"\n',
    "Ubuntu 22.04": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nVERSION_ID="22.04"\nID=ubuntu\n',
    "Ubuntu 24.04": 'PRETTY_NAME="Ubuntu 24.04.2 LTS"\nVERSION_ID="24.04"\nID=ubuntu\n',
}
OPENJDK_17 = """\
openjdk version "17.0.15" 2025-04-15
OpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)
OpenJDK 64-Bit Server VM (build 17.0.15+6-Debian-1deb12u1, mixed mode, sharing)"""
STUB = """\
The operation couldn't be completed. Unable to locate a Java Runtime.
Please visit http://www.java.com for information on installing Java."""


class Machine:
    """A machine that has what a test gives it, and the few tools that each has."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in ("bash", "sed", "head", "uname"):
            (self.bin / tool).symlink_to(str(shutil.which(tool)))
        self.variables = {
            "PATH": str(self.bin),
            "OS_RELEASE": str(folder / "os-release"),
            "JVM_FOLDER": str(folder / "jvm"),
        }
        self.system = folder / "os-release"

    def has(self, name: str, script: str) -> None:
        """Put a program on the PATH, or below the folder of the machine."""
        path = self.bin / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def has_java(self, said: str, status: int = 0, name: str = "java") -> None:
        self.has(name, f"cat >&2 <<'SAID'\n{said}\nSAID\nexit {status}".replace("cat", "/bin/cat"))

    def has_python(self, name: str, version: str, state: str = "ready") -> None:
        self.has(name, f"echo {version} {state}")

    def preflight(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / "bash"), str(SCRIPT), *words],
            env=self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with nothing on it."""
    return Machine(tmp_path)


@pytest.mark.parametrize(
    "said",
    [
        OPENJDK_17,
        'openjdk version "17" 2021-09-14\nOpenJDK Runtime Environment (build 17+35-2724)',
        'openjdk version "17.0.9" 2023-10-17\nOpenJDK Runtime Environment Temurin-17.0.9+9 (build 17.0.9+9)',
        'java version "17.0.12" 2024-07-16 LTS\nJava(TM) SE Runtime Environment (build 17.0.12+8-LTS-286)',
        'openjdk version "21.0.7" 2025-04-15\nOpenJDK Runtime Environment (build 21.0.7+6-Ubuntu-0ubuntu124.04)',
        'openjdk version "21.0.2" 2024-01-16 LTS\nOpenJDK Runtime Environment Temurin-21.0.2+13 (build 21.0.2+13-LTS)',
        'java version "21" 2023-09-19 LTS\nJava(TM) SE Runtime Environment Oracle GraalVM 21+35.1',
        f"Picked up JAVA_TOOL_OPTIONS: -Dhttps.proxyHost=proxy.example\n{OPENJDK_17}",
    ],
    ids=lambda said: said[:24],
)
def test_a_java_that_serves_is_taken(machine: Machine, said: str) -> None:
    machine.has_python("python3", "3.12")
    machine.has_java(said)
    done = machine.preflight()
    assert (done.returncode, done.stdout, done.stderr) == (0, "python3\n", "")


@pytest.mark.parametrize(
    ("said", "status", "named"),
    [
        ('openjdk version "1.8.0_392"\nOpenJDK Runtime Environment (build 1.8.0_392-b08)', 0, "java is 8"),
        ('java version "1.8.0_391"\nJava(TM) SE Runtime Environment (build 1.8.0_391-b13)', 0, "java is 8"),
        ('openjdk version "11.0.27" 2025-04-15', 0, "java is 11"),
        ('openjdk version "24" 2025-03-18', 0, "java is 24"),
        ('openjdk version "25-ea" 2025-09-16', 0, "java is 25"),
        ('openjdk version "170.0.1"', 0, "java is 170"),
        (STUB, 1, "java tells no version"),
        ("Error: could not find libjava.so", 2, "java tells no version"),
    ],
)  # fmt: skip
def test_a_java_that_does_not_serve_is_named_with_the_cure(
    machine: Machine, said: str, status: int, named: str
) -> None:
    machine.has_python("python3", "3.12")
    machine.has_java(said, status)
    machine.system.write_text(SYSTEMS["Debian 13"])
    done = machine.preflight()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == (
        f"Java 17 or 21 is missing: {named}. What this system needs:"
        " 'apt-get install -y make python3-venv openjdk-21-jre-headless' as root."
    )


def test_no_java_is_named(machine: Machine) -> None:
    machine.has_python("python3", "3.12")
    assert machine.preflight().stderr.startswith("Java 17 or 21 is missing: there is no java. ")
    home = machine.preflight(JAVA_HOME="/nowhere").stderr
    assert home.startswith("Java 17 or 21 is missing: there is no /nowhere/bin/java. ")


def test_java_home_is_asked_before_the_path(machine: Machine) -> None:
    machine.has_python("python3", "3.12")
    machine.has_java('openjdk version "11.0.27"')
    machine.has_java(OPENJDK_17, name="../another/bin/java")
    assert machine.preflight(JAVA_HOME=str(machine.bin.parent / "another")).returncode == 0


def test_a_java_that_is_there_but_not_the_one_that_is_meant_is_pointed_at(machine: Machine) -> None:
    machine.has_python("python3", "3.12")
    machine.has_java('openjdk version "25.0.1" 2025-10-21')
    machine.has_java('openjdk version "11.0.27"', name="../jvm/a-11/bin/java")
    machine.has_java(OPENJDK_17, name="../jvm/b-17/bin/java")
    folder = machine.bin.parent / "jvm" / "b-17"
    said = machine.preflight().stderr.splitlines()
    assert said[1] == f"Java 17 is in {folder}: 'export JAVA_HOME={folder}'."


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_a_python_that_serves_is_taken_whatever_its_name(machine: Machine, version: str) -> None:
    machine.has_java(OPENJDK_17)
    machine.has_python("python", version)
    assert machine.preflight().stdout == "python\n"
    machine.has_python("python3", "3.10")
    assert machine.preflight().stdout == "python\n"
    machine.has_python(f"python{version}", version)
    assert machine.preflight().stdout == f"python{version}\n"


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.10", "3.14", "3.1"])
def test_a_python_that_does_not_serve_is_named_with_the_cure(
    machine: Machine, version: str
) -> None:
    machine.has_java(OPENJDK_17)
    machine.has_python("python3", version)
    machine.system.write_text(SYSTEMS["Ubuntu 22.04"])
    first = machine.preflight().stderr.splitlines()[0]
    assert first.startswith(f"Python 3.11, 3.12 or 3.13 is missing: python3 is {version}. ")
    assert "python3.11-venv" in first


def test_no_python_is_named_and_what_else_is_missing_after_it(machine: Machine) -> None:
    assert machine.preflight().stderr.startswith(
        "Python 3.11, 3.12 or 3.13 is missing: there is no python3."
        " Java 17 or 21 is missing: there is no java. Get it from your system's packages"
    )


def test_a_python_that_is_only_a_name_is_passed_over(machine: Machine) -> None:
    machine.has_java(OPENJDK_17)
    machine.has("python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    machine.has_python("python3", "3.13")
    assert machine.preflight().stdout == "python3\n"


def test_a_python_without_virtual_environments_is_named_unless_another_has_them(
    machine: Machine,
) -> None:
    machine.has_java(OPENJDK_17)
    machine.has_python("python3", "3.12", "bare")
    first = machine.preflight().stderr.splitlines()[0]
    assert "python3 (3.12) cannot make virtual environments: python3.12-venv is missing." in first
    machine.has_python("python3.13", "3.13")
    assert machine.preflight().stdout == "python3.13\n"


def test_the_python_that_a_person_names_is_the_only_one_asked(machine: Machine) -> None:
    machine.has_java(OPENJDK_17)
    machine.has_python("python3", "3.12")
    assert machine.preflight(PYTHON=sys.executable).stdout == f"{sys.executable}\n"
    machine.has_python("python3.10", "3.10")
    assert "python3.10 is 3.10" in machine.preflight(PYTHON="python3.10").stderr
    assert "missing: /nowhere does not run." in machine.preflight(PYTHON="/nowhere").stderr


def test_macos_is_told_to_point_at_the_java_that_brew_keeps_aside(machine: Machine) -> None:
    machine.has("uname", "echo Darwin")
    said = machine.preflight().stderr
    assert "brew install python@3.13 openjdk@21" in said
    assert 'JAVA_HOME="$(brew --prefix openjdk@21)"' in said


@pytest.mark.parametrize("system", [*SYSTEMS, "macOS"])
def test_the_readme_names_the_same_packages(machine: Machine, system: str) -> None:
    machine.system.write_text(SYSTEMS.get(system, ""))
    if system == "macOS":
        machine.has("uname", "echo Darwin")
    packages = machine.preflight("packages").stdout.strip()
    assert packages
    lines = (PROJECT_ROOT / "README.md").read_text().splitlines()
    assert any(system in line and packages in line for line in lines), packages


def test_another_system_is_promised_no_packages(machine: Machine) -> None:
    machine.system.write_text("ID=alpine\nVERSION_ID=3.22\n")
    assert machine.preflight("packages").stdout == ""
    assert machine.preflight("packages", OS_RELEASE="/nowhere").stdout == ""


def test_all_that_ask_for_a_version_ask_for_the_same() -> None:
    script = SCRIPT.read_text()
    javas = re.search(r'^JAVAS="(.*)"$', script, re.MULTILINE)
    pythons = re.search(r'^PYTHONS="(.*)"$', script, re.MULTILINE)
    assert javas is not None and pythons is not None
    assert tuple(map(int, javas[1].split())) == JAVA_VERSIONS
    versions = pythons[1].split()
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    after = f"3.{int(versions[-1].partition('.')[2]) + 1}"
    assert project["project"]["requires-python"] == f">={versions[0]},<{after}"
    # The oldest one is what the code is checked for.
    assert project["tool"]["mypy"]["python_version"] == versions[0]
    assert project["tool"]["ruff"]["target-version"] == f"py{versions[0].replace('.', '')}"
    image = (PROJECT_ROOT / "airflow" / "Dockerfile").read_text()
    assert any(f"-python{version}\n" in image for version in versions)


def test_make_says_it_before_it_installs_anything(machine: Machine, tmp_path: Path) -> None:
    machine.has_python("python3", "3.10")
    done = subprocess.run(
        ["make", "--no-print-directory", "preflight"],
        cwd=PROJECT_ROOT,
        env={"PATH": f"{machine.bin}{os.pathsep}{Path(str(shutil.which('make'))).parent}"}
        | {"JAVA_HOME": str(tmp_path), "PYTHON": "python3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[0].startswith("Python 3.11, 3.12 or 3.13 is missing")
