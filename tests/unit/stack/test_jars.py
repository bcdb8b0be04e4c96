"""`jars.xml` agrees with what is installed; a jar that cannot be had and a wrong Java are named."""

import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from cinelake.errors import ServiceError, SettingError
from cinelake.stack import jars
from spark_streaming.session import class_archive

DEPENDENCIES = {
    (each.attrib["conf"].partition("->")[0], each.attrib["name"]): each.attrib["rev"]
    for each in ElementTree.parse(jars.JARS_XML).iter("dependency")
}


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for java; what it does is written by the test."""
    program = tmp_path / "java-home" / "bin" / "java"
    program.parent.mkdir(parents=True)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java-home"))
    return program


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment without jars."""
    folder = tmp_path / "venv"
    folder.mkdir()
    monkeypatch.setattr(sys, "prefix", str(folder))
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_jars_have_the_versions_of_the_python_packages() -> None:
    spark = version("pyspark")
    delta = version("delta-spark")
    assert DEPENDENCIES["spark", "spark-sql-kafka-0-10_2.13"] == spark
    assert DEPENDENCIES["spark", "spark-token-provider-kafka-0-10_2.13"] == spark
    assert DEPENDENCIES["spark", f"delta-spark_{spark.rpartition('.')[0]}_2.13"] == delta
    assert DEPENDENCIES["spark", "delta-storage"] == delta


def test_no_registry_is_named() -> None:
    text = jars.JARS_XML.read_text()
    assert "http" not in text
    assert "resolver" not in text


def test_nothing_is_fetched_twice(environment: Path, java: Path) -> None:
    folder = jars.jars_folder()
    assert folder == environment / "jars"
    (folder / "spark").mkdir(parents=True)
    (folder / "spark" / "b.jar").touch()
    (folder / "spark" / "a.jar").touch()
    (folder / "stamp").write_text(jars._stamp())
    program(java, "exit 1")  # would fail, were it called
    assert jars.fetch_jars() is False
    assert [jar.name for jar in jars.spark_jars()] == ["a.jar", "b.jar"]


def test_jars_of_another_jars_xml_do_not_count(environment: Path) -> None:
    jars.jars_folder().mkdir()
    (jars.jars_folder() / "stamp").write_text("of another file")
    with pytest.raises(ServiceError, match="not fetched") as caught:
        jars.kafka_jars()
    assert "python -m cinelake.stack.jars" in caught.value.hint


def test_a_failed_fetch_says_which_jar_and_leaves_nothing_behind(
    environment: Path, java: Path
) -> None:
    program(
        java,
        'case "$1" in -version) echo \'openjdk version "17.0.15"\' >&2;; '
        "*) echo ':: io.delta#delta-storage;4.4.0: not found'; exit 1;; esac",
    )
    with pytest.raises(ServiceError, match=r"delta-storage;4\.4\.0: not found"):
        jars.fetch_jars()
    assert [each.name for each in environment.iterdir()] == ["jars.lock"]


def test_a_fetch_that_claims_to_have_worked_is_checked(environment: Path, java: Path) -> None:
    program(java, "echo 'openjdk version \"17.0.15\"' >&2")
    with pytest.raises(ServiceError, match=r"spark/delta-storage-4\.4\.0\.jar"):
        jars.fetch_jars()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('openjdk version "11.0.2" 2019-01-15', "Java 11"),
        ('java version "1.8.0_391"', "Java 8"),
        ('openjdk version "25.0.1" 2025-10-21', "Java 25"),
        ("no JVM could be started", "unknown version"),
    ],
)
def test_another_java_is_refused_with_the_way_to_the_right_one(
    java: Path, said: str, found: str
) -> None:
    program(java, f"echo '{said}' >&2")
    with pytest.raises(SettingError, match=f"{found}.* needs 17 or 21") as caught:
        jars.check_java()
    assert "openjdk-17" in caught.value.hint


@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.8"])
def test_java_is_taken_from_java_home(java: Path, version: str) -> None:
    program(java, f"echo 'openjdk version \"{version}\" 2025-04-15' >&2")
    assert jars.check_java() == java
    assert jars.java_home() == java.parents[1]


@pytest.mark.parametrize(
    ("told", "build"),
    [
        ('JAVA_RUNTIME_VERSION="17.0.15+6-Debian"\nJAVA_VERSION="17.0.15"\n', "17.0.15+6-Debian"),
        ('JAVA_VERSION="21.0.8"\nMODULES="java.base"\n', "21.0.8"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_archive_of_classes_belongs_to_one_build_of_java(
    java: Path, told: str | None, build: str
) -> None:
    program(java, "exit 1")  # it is not asked, which would take as long as all else
    if told is not None:
        (java.parents[1] / "release").write_text(told)
    assert jars.java_build() == build
    assert class_archive().name == f"spark-{version('pyspark')}-java-{build}.jsa"


def test_no_java_at_all_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("java") is None
    with pytest.raises(SettingError, match="Java 17 or 21 is missing: no java on the PATH"):
        jars.check_java()


def test_a_java_home_without_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SettingError, match=r"no java in JAVA_HOME"):
        jars.check_java()
