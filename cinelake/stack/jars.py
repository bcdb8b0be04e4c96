"""The jars of Spark, Kafka and the docs site: fetched once into the virtual environment, as `jars.xml` names them.

`python -m cinelake.stack.jars` fetches what is missing. The Ivy that does it is the one in the pyspark wheel.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from cinelake.errors import CinelakeError, ServiceError, SettingError
from cinelake.log import get_logger
from cinelake.settings import PROJECT_ROOT
from cinelake.stack.lock import file_lock

JARS_XML = PROJECT_ROOT / "jars.xml"
JAVA_VERSIONS = (17, 21)
"""Those that Spark and Kafka run on alike; `preflight.sh` asks for the same before there is a Python."""
FETCH_SECONDS = 900
CONFS = ("kafka", "spark", "web")
FETCH_HINT = "Run `python -m cinelake.stack.jars`."

_log = get_logger("stack")


def jars_folder() -> Path:
    """The folder in the virtual environment with a folder for each configuration of `jars.xml`."""
    return Path(sys.prefix) / "jars"


def spark_jars() -> list[Path]:
    """The jars Spark needs beside its own. Raises `ServiceError` when they were not fetched."""
    return _fetched("spark")


def kafka_jars() -> list[Path]:
    """The class path of the local Kafka broker. Raises `ServiceError` when it was not fetched."""
    return _fetched("kafka")


def web_jars() -> list[Path]:
    """WebJars: styles and scripts of the web. Raises `ServiceError` when they were not fetched."""
    return _fetched("web")


def fetch_jars() -> bool:
    """Fetch what `jars.xml` names, unless that was done already. The folder is replaced as a whole.

    Returns:
        True when jars were fetched, False when those there are current.

    Raises:
        SettingError: There is no Java 17 or 21.
        ServiceError: The jars cannot be had, or the environment cannot be written to.
    """
    try:
        with file_lock(jars_folder().with_name("jars.lock"), patience=FETCH_SECONDS):
            if _is_current():
                return False
            with tempfile.TemporaryDirectory(prefix="jars-", dir=sys.prefix) as scratch:
                _fetch_into(Path(scratch))
                _replace(Path(scratch) / "jars", jars_folder())
    except OSError as error:
        raise ServiceError(
            f"The jars cannot be stored in {jars_folder()}: {error}.",
            "Make that folder writable, or use a virtual environment of your own.",
        ) from error
    return True


def java_home() -> Path:
    """The folder of the Java that Spark and Kafka will use: `JAVA_HOME`, else the `java` on the PATH."""
    return check_java().resolve().parents[1]


def java_build() -> str:
    """Which Java that is, to the build: `17.0.15+6-Debian-1deb12u1`; `unknown` where it does not say.

    Raises:
        SettingError: There is no Java.
    """
    release = _find_java().resolve().parents[1] / "release"
    told = release.read_text("utf-8") if release.is_file() else ""
    found = re.search(r'^JAVA_(?:RUNTIME_)?VERSION="([\w.+-]+)"', told, re.MULTILINE)
    return found[1] if found else "unknown"


def check_java() -> Path:
    """Find Java and check its version.

    Returns:
        The `java` program.

    Raises:
        SettingError: There is none, or one of another version than 17 and 21.
    """
    java = _find_java()
    try:
        said = subprocess.run(
            [java, "-version"], capture_output=True, check=False, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SettingError(f"{java} does not run: {error}.", _java_hint()) from error
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    if not found or int(found[1]) not in JAVA_VERSIONS:
        version = f"Java {found[1]}" if found else "of an unknown version"
        raise SettingError(f"{java} is {version}; Cinelake needs 17 or 21.", _java_hint())
    return java


def _find_java() -> Path:
    # JAVA_HOME is the setting of Spark's and Kafka's own launchers, so it is read as they read it.
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not found or not os.access(found, os.X_OK):
        where = f"in JAVA_HOME ({home})" if home else "on the PATH"
        raise SettingError(f"Java 17 or 21 is missing: no java {where}.", _java_hint())
    return Path(found)


def _java_hint() -> str:
    return (
        "Install one (Debian, Ubuntu: apt-get install openjdk-17-jre-headless or "
        "openjdk-21-jre-headless, as there is; macOS: brew install openjdk@21) and, if there are "
        "several, set JAVA_HOME to its folder."
    )


def _stamp() -> str:
    return hashlib.sha256(JARS_XML.read_bytes()).hexdigest()


def _is_current() -> bool:
    stamp = jars_folder() / "stamp"
    return stamp.is_file() and stamp.read_text() == _stamp()


def _fetched(conf: str) -> list[Path]:
    if not _is_current():
        raise ServiceError("The jars of jars.xml were not fetched.", FETCH_HINT)
    return sorted((jars_folder() / conf).glob("*.jar"))


def _fetch_into(scratch: Path) -> None:
    target = scratch / "jars"
    command = [
        str(check_java()),
        # Ivy keeps nothing in the home folder, where a half-filled cache would make it fail.
        f"-Divy.default.ivy.user.dir={scratch / 'ivy'}",
        *("-jar", str(_ivy()), "-ivy", str(JARS_XML), "-confs", *CONFS),
        *("-cache", str(scratch / "cache"), "-types", "jar", "bundle"),
        *("-retrieve", f"{target}/[conf]/[artifact]-[revision].[ext]"),
    ]
    _log.info("fetching jars", into=str(jars_folder()))
    try:
        ivy = subprocess.run(
            command, capture_output=True, check=False, text=True, timeout=FETCH_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise _not_fetched(f"not done after {FETCH_SECONDS} seconds") from error
    missing = [name for name in _named() if not (target / name).is_file()]
    if ivy.returncode != 0 or missing:
        raise _not_fetched(_reason(ivy.stdout + ivy.stderr) or ", ".join(missing))
    (target / "stamp").write_text(_stamp())


def _named() -> list[str]:
    """The files that `jars.xml` names itself, relative to the folder; Kafka's own needs come on top."""
    # Our own file: nothing in it is hostile.
    dependencies = ElementTree.parse(JARS_XML).iter("dependency")  # noqa: S314
    return [
        f"{each.attrib['conf'].partition('->')[0]}/{each.attrib['name']}-{each.attrib['rev']}.jar"
        for each in dependencies
    ]


def _reason(output: str) -> str:
    lines = dict.fromkeys(line.strip() for line in output.splitlines())
    return "\n".join(
        [line for line in lines if "not found" in line or "FAILED" in line or "error" in line][:6]
    )


def _not_fetched(reason: str) -> ServiceError:
    return ServiceError(
        f"The jars of jars.xml cannot be fetched:\n{reason}",
        "Check the way to the Maven repository (Java takes a proxy from "
        "JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=…), then try again.",
    )


def _ivy() -> Path:
    pyspark = find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        raise ServiceError("pyspark is not installed here.", "Run `make install`.")
    return next(Path(pyspark.origin).parent.glob("jars/ivy-*.jar"))


def _replace(new: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(new.with_name("old"))
    new.rename(folder)


def main() -> int:
    """Fetch the jars and say in one line what was done."""
    try:
        done = "fetched" if fetch_jars() else "there already"
    except CinelakeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    count = len(spark_jars()) + len(kafka_jars()) + len(web_jars())
    sys.stdout.write(f"{count} jars: {done} ({jars_folder()})\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
