"""The local stack, for real: it comes up twice, comes back after `kill -9` with its data, and goes away whole."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymongo
import pytest
import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from psycopg import sql

from cinelake.errors import ServiceError
from cinelake.owner_only import UMASK
from cinelake.settings import Settings, load_settings
from cinelake.stack import analyst
from cinelake.stack.local import STORES, down, start_api, status, up
from cinelake.stack.postgres import analyst_uri, bootstrap
from cinelake.stack.process import has_ended
from cinelake.stack.state import load_state
from ingestion.api.key_ring import KeyRing
from ingestion.api.scopes import Scope
from lakehouse.publish import ensure_tables
from pipeline import runs
from pipeline.alerts import open_problems, settle_problem
from pipeline.analyst import look_after, subject_of
from pipeline.swap import swap_gold
from tests.integration.conftest import command_line, open_to_others

MEBIBYTE = 1024 * 1024
OF_04E28AB = Path(__file__).with_name("home_04e28ab")
"""What a home of that version was: `.sql` what it left in PostgreSQL, `.files` the modes of files and folders under umask 022."""
NAMES = [service.name for service in STORES]


class Stack:
    """A stack of its own in a new folder."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @property
    def settings(self) -> Settings:
        """The settings as a new process would read them."""
        return load_settings(CINELAKE_HOME=str(self.home), DBT_PROFILES_DIR=str(self.home / "dbt"))

    def up(self) -> dict[str, int]:
        """Bring it up; the process id of each service."""
        done: list[int] = []
        state = up(self.settings, done.append, with_api=False)
        assert done == [1, 1, 1]
        return {name: ref.pid for name, ref in state.processes.items()}

    def kill(self, name: str) -> None:
        """Kill one service without a warning."""
        process = psutil.Process(load_state(self.home).processes[name].pid)
        os.kill(process.pid, signal.SIGKILL)
        psutil.wait_procs([process], timeout=10)

    def processes(self) -> list[psutil.Process]:
        """Every live process that works in the stack's folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(
                    self.home
                ):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="cinelake-stack-") as folder:
        # PostgreSQL's account has to get in when root runs this.
        Path(folder).chmod(0o755)
        stack = Stack(Path(folder).resolve())
        try:
            stack.up()
            yield stack
        finally:
            down(stack.settings)


def as_owner(stack: Stack, *statements: str) -> list[Any]:
    with psycopg.connect(stack.settings.postgres) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def as_analyst(stack: Stack, *statements: str) -> list[Any]:
    with psycopg.connect(analyst_uri(stack.settings), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def keep_something(stack: Stack, name: str) -> None:
    """Store one thing in a service."""
    if name == "postgres":
        as_owner(
            stack, "create table silver.kept (it text)", "insert into silver.kept values ('x')"
        )
    elif name == "mongo":
        with pymongo.MongoClient[dict[str, Any]](stack.settings.mongo) as client:
            client.get_default_database()["kept"].insert_one({"_id": 1, "it": "x"})
    else:
        servers = {"bootstrap.servers": stack.settings.kafka}
        admin = AdminClient(servers)
        admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
        producer = Producer(servers | {"acks": "all"})
        producer.produce("kept", b"x")
        assert producer.flush(20) == 0


def is_kept(stack: Stack, name: str) -> bool:
    """Whether that thing is there."""
    if name == "postgres":
        return as_owner(stack, "select it from silver.kept") == [("x",)]
    if name == "mongo":
        with pymongo.MongoClient[dict[str, Any]](stack.settings.mongo) as client:
            return client.get_default_database()["kept"].find_one() == {"_id": 1, "it": "x"}
    consumer = Consumer(
        {
            "bootstrap.servers": stack.settings.kafka,
            "group.id": "kept",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        consumer.subscribe(["kept"])
        message = consumer.poll(20)
        return message is not None and message.value() == b"x"
    finally:
        consumer.close()


def test_up_closes_what_others_may_read_of_a_home_and_postgresql_still_gets_in(
    stack: Stack,
) -> None:
    before = stack.up()
    table = stack.home / "lake" / "bronze"
    table.mkdir(parents=True)
    (table / "part.parquet").write_bytes(b"")
    for path in (stack.home, table.parent, table, table / "part.parquet"):
        path.chmod(0o777)
    stack.kill("postgres")
    # As every command does.
    os.umask(UMASK)
    assert stack.up().keys() == before.keys()
    assert open_to_others(stack.home) == []
    assert as_owner(stack, "select 1") == [(1,)]


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    before = (stack.up(), (stack.home / "stack.env").read_text())
    assert (stack.up(), (stack.home / "stack.env").read_text()) == before


def test_every_service_is_healthy_and_their_memory_fits_a_laptop(stack: Stack) -> None:
    found = status(stack.settings)
    assert {name: found[name].healthy for name in NAMES} == dict.fromkeys(NAMES, True)
    assert not found["api"].healthy
    assert not any(each.external for each in found.values())
    assert all(
        "@" not in each.endpoint or ":" not in each.endpoint.split("@")[0][13:]
        for each in found.values()
    )
    assert sum(each.rss_bytes for each in found.values()) < 1229 * MEBIBYTE


def test_two_that_start_it_at_once_start_one_stack(stack: Stack) -> None:
    down(stack.settings)
    program = (
        "import sys; from cinelake.settings import load_settings; from cinelake.stack.local import up\n"
        "home = sys.argv[1]\n"
        "up(load_settings(CINELAKE_HOME=home, DBT_PROFILES_DIR=home + '/dbt'), with_api=False)"
    )
    command = [sys.executable, "-c", program, str(stack.home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [each.communicate(timeout=120)[0].count("started") for each in both] in ([3, 0], [0, 3])
    assert [each.returncode for each in both] == [0, 0]
    assert sum("kafka.Kafka" in process.cmdline() for process in stack.processes()) == 1


def test_postgres_does_not_run_as_root(stack: Stack) -> None:
    process = psutil.Process(load_state(stack.home).processes["postgres"].pid)
    assert process.uids().real != 0
    assert process.uids().effective != 0
    assert 0 not in process.gids()


def test_every_service_listens_on_the_loopback_interface_alone(stack: Stack) -> None:
    listening = [
        connection.laddr.ip.removeprefix("::ffff:")
        for process in stack.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 4  # Kafka has two: one for clients, one for its controller
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_service_comes_back_with_its_data(stack: Stack, name: str) -> None:
    before = stack.up()
    keep_something(stack, name)
    stack.kill(name)
    assert not status(stack.settings)[name].healthy
    after = stack.up()
    assert after[name] != before[name]
    assert {each: after[each] for each in NAMES if each != name} == {
        each: before[each] for each in NAMES if each != name
    }
    assert is_kept(stack, name)


def test_everything_killed_at_once_comes_back_on_the_same_ports(stack: Stack) -> None:
    stack.up()
    endpoints = (stack.home / "stack.env").read_text()
    for name in NAMES:
        stack.kill(name)
    stack.up()
    assert (stack.home / "stack.env").read_text() == endpoints


def test_a_service_that_runs_but_does_not_answer_is_started_anew(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stack.up()
    monkeypatch.setattr("cinelake.stack.local.START_SECONDS", 3.0)
    os.kill(before["mongo"], signal.SIGSTOP)
    # A stopped process takes no SIGTERM: only the SIGKILL after it ends it.
    monkeypatch.setattr("cinelake.stack.process.stop.__kwdefaults__", {"first": 15, "patience": 1})
    assert stack.up()["mongo"] != before["mongo"]


def test_a_port_that_another_program_took_is_given_up(stack: Stack) -> None:
    down(stack.settings)
    before = load_state(stack.home).ports
    with socket.create_server(("127.0.0.1", before["mongo"])):
        stack.up()
    after = load_state(stack.home).ports
    assert after["mongo"] != before["mongo"]
    assert after | {"mongo": 0} == before | {"mongo": 0}
    assert stack.settings.mongo == f"mongodb://127.0.0.1:{after['mongo']}/cinelake"


def test_a_service_named_in_the_environment_is_checked_but_neither_started_nor_stopped(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.settings.kafka)
    monkeypatch.setenv("POSTGRES_URI", stack.settings.postgres)
    monkeypatch.setenv("MONGO_URI", stack.settings.mongo)
    monkeypatch.setenv("ANALYST_PASSWORD", stack.settings.analyst_secret)
    other = Stack(tmp_path)
    assert other.up() == {}
    assert all(status(other.settings)[name].external for name in NAMES)
    down(other.settings)
    assert all(status(stack.settings)[name].healthy for name in NAMES)


def test_an_external_service_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinelake.stack.local.EXTERNAL_SECONDS", 0.5)
    # Of the three, so that nothing has to be started for it.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("POSTGRES_URI", "postgresql://me:secret@127.0.0.1:1/films")
    monkeypatch.setenv("MONGO_URI", "mongodb://127.0.0.1:1/films")
    with pytest.raises(ServiceError, match=r"no answer from 127\.0\.0\.1:1") as caught:
        Stack(tmp_path).up()
    assert "KAFKA_BOOTSTRAP_SERVERS" in caught.value.hint


def workers(stack: Stack) -> list[psutil.Process]:
    return psutil.Process(load_state(stack.home).processes["api"].pid).children()


def test_the_api_comes_back_on_its_port_after_a_kill_and_ends_with_down(stack: Stack) -> None:
    stack.up()
    address = start_api(stack.settings)
    assert start_api(stack.settings) == address
    assert len(workers(stack)) == stack.settings.api_workers
    assert status(stack.settings)["api"].healthy
    stack.kill("api")
    assert start_api(stack.settings) == address == status(stack.settings)["api"].endpoint
    family = workers(stack)
    down(stack.settings)
    assert all(map(has_ended, family))
    assert not status(stack.settings)["api"].healthy


def test_the_api_takes_the_port_that_the_environment_names_or_none(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.up()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("CINELAKE_API_PORT", str(port))
        with pytest.raises(ServiceError, match=f"Port {port} of CINELAKE_API_PORT is taken"):
            start_api(stack.settings)
    assert start_api(stack.settings) == f"http://127.0.0.1:{port}"
    monkeypatch.delenv("CINELAKE_API_PORT")
    assert start_api(stack.settings) == f"http://127.0.0.1:{port}"
    assert stack.settings.api_port == port
    assert status(stack.settings)["api"].healthy


MADE = (
    "set local role transformer",
    "create table if not exists {schema}.films (id int)",
    "insert into {schema}.films values (1)",
)


@pytest.fixture(scope="module")
def tables(stack: Stack) -> Stack:
    """A table in each schema, made as the stages make theirs."""
    stack.up()
    for schema in ("gold", "gold_next", "staging"):
        as_owner(stack, *(each.format(schema=schema) for each in MADE))
    for schema in ("silver", "ops"):
        made = [each.format(schema=schema).replace("transformer", "loader") for each in MADE]
        as_owner(stack, *made)
    return stack


def test_the_analyst_reads_gold_without_naming_it(tables: Stack) -> None:
    assert as_analyst(tables, "select id from films") == [(1,)]
    assert as_analyst(tables, "select id from ops.films") == [(1,)]


@pytest.mark.parametrize("schema", ["gold_next", "staging", "silver"])
def test_the_analyst_sees_nothing_but_gold(tables: Stack, schema: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_analyst(tables, f"select id from {schema}.films")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into gold.films values (2)",
        "delete from gold.films",
        "drop table gold.films",
        "create table gold.mine (id int)",
        "create table public.mine (id int)",
        "create temporary table mine (id int)",
        "create schema mine",
        "set role transformer",
        "select pg_advisory_lock(hashtext('cinelake swap'))",
        "select pg_try_advisory_xact_lock_shared(1, 2)",
        "select lo_from_bytea(0, 'x')",
        "select lo_creat(-1)",
        "select pg_logical_emit_message(false, 'x', 'x')",
        "select pg_terminate_backend(pg_backend_pid())",
        "set temp_file_limit = -1",
        "alter role analyst set temp_file_limit = -1",
        "alter role analyst connection limit -1",
        "drop owned by analyst",
    ],
)
def test_the_analyst_cannot_write_even_when_it_asks_for_it(tables: Stack, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_analyst(tables, "set default_transaction_read_only = off", statement)


def test_the_analyst_is_read_only_and_limited_in_time(tables: Stack) -> None:
    assert as_analyst(tables, "show default_transaction_read_only") == [("on",)]
    assert as_analyst(tables, "show statement_timeout") == [("1min",)]
    assert as_analyst(tables, "show search_path") == [("gold",)]
    assert as_analyst(tables, "show temp_file_limit") == [("1GB",)]
    limit = "select rolconnlimit from pg_roles where rolname = 'analyst'"
    assert as_owner(tables, limit) == [(25,)]


PERSONAL = ("dim_user_personal", "int_users")
"""What no analyst reads, by its name, as dbt makes it and as a version before left it."""


@pytest.fixture
def with_personal(tables: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Personal data in both generations of gold, as the version before left it, and a password for who may read it."""
    for schema in ("gold", "gold_next"):
        made = [f"create table {schema}.{name} (name text)" for name in PERSONAL]
        of_before = f"create table {schema}.dim_user (user_id text, name text, birth_year int)"
        as_owner(tables, "set local role transformer", *made, of_before)
    monkeypatch.setenv("ANALYST_PII_PASSWORD", "a-third-long-random-string")
    assert bootstrap(tables.settings) == []
    yield tables
    monkeypatch.delenv("ANALYST_PII_PASSWORD")
    for schema in ("gold", "gold_next"):
        as_owner(tables, *(f"drop table {schema}.{name}" for name in (*PERSONAL, "dim_user")))
    assert bootstrap(tables.settings) == []


def test_who_somebody_is_reads_who_may_alone(with_personal: Stack) -> None:
    structlog.contextvars.bind_contextvars(run_id="looks")
    settings = with_personal.settings
    assert as_analyst(with_personal, "select * from dim_user") == []
    for name in PERSONAL:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_analyst(with_personal, f"select * from {name}")
    columns = (
        "select distinct column_name::text from information_schema.columns"
        " where table_schema like 'gold%' and table_name = 'dim_user'"
    )
    assert as_owner(with_personal, columns) == [("user_id",)]
    with psycopg.connect(analyst_uri(settings, "analyst_pii"), autocommit=True) as connection:
        for readable in ("dim_user_personal", "dim_user", "films", "ops.films"):
            connection.execute(f"select * from {readable}".encode())
        limits = [
            "default_transaction_read_only",
            "statement_timeout",
            "search_path",
            "temp_file_limit",
        ]
        shown = [connection.execute(f"show {limit}".encode()).fetchone() for limit in limits]
        assert shown == [("on",), ("1min",), ("gold",), ("1GB",)]
        connection.execute("set default_transaction_read_only = off")
        for refused in (
            "select * from int_users",
            "select * from silver.films",
            "select * from gold_next.dim_user_personal",
            "insert into films values (2)",
            "create temporary table t ()",
            "alter role analyst password 'x'",
            "set role analyst",
            "drop owned by analyst",
        ):
            with pytest.raises(
                (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)
            ):
                connection.execute(refused.encode())
        connection.execute("alter role analyst_pii password 'x'")
    look_after(settings)
    subject = subject_of("analyst_pii")
    found = [each.name for each in open_problems(settings) if each.name.startswith(subject)]
    assert found == [f"{subject} {analyst.VERIFIER}"]
    settle_problem(settings, subject)
    psycopg.connect(analyst_uri(settings, "analyst_pii")).close()


def test_nobody_logs_in_as_analyst_pii_without_a_password_for_it(tables: Stack) -> None:
    found = as_owner(tables, "select rolcanlogin from pg_roles where rolname = 'analyst_pii'")
    assert found == [(False,)]


def test_the_analyst_enters_no_other_database_of_ours(tables: Stack) -> None:
    with psycopg.connect(tables.settings.postgres, autocommit=True) as connection:
        connection.execute("create database open_to_all")
        bootstrap(tables.settings)
        names = connection.execute("select datname from pg_database where datallowconn").fetchall()
    for (name,) in names:
        if name != "cinelake":
            with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
                psycopg.connect(analyst_uri(tables.settings), dbname=name)
    assert {"postgres", "template1", "open_to_all"} < {name for (name,) in names}


OPEN_TO_ALL = """
alter role analyst reset all;
drop owned by analyst;
drop role analyst;
grant connect, temporary on database cinelake, postgres to public;
do $$
declare
    callable regprocedure;
begin
    for callable in
        select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
        and proname ~ '^(pg_(try_)?advisory_.*|lo_.*|loread|lowrite|pg_(cancel|terminate)_backend|pg_logical_emit_message)$'
    loop
        execute format('grant execute on function %s to public', callable);
    end loop;
end
$$;
drop table if exists ops.api_keys;
"""
"""What a server has before anything takes it away."""


def be_of_04e28ab(stack: Stack) -> str:
    """Make roles, keys and files what that version left; the API key that it made up for the home."""
    settings = stack.settings
    secret = settings.api_secret.split("_", 2)[2]
    salt = os.urandom(16)
    with psycopg.connect(settings.postgres) as connection:
        connection.execute(OPEN_TO_ALL)
        connection.execute(OF_04E28AB.with_suffix(".sql").read_bytes())
        # As its default privileges did when these tables were made.
        connection.execute("grant select on all tables in schema staging, gold_next to analyst")
        hashed = connection.pgconn.encrypt_password(
            settings.analyst_secret.encode(), b"analyst", b"scram-sha-256"
        )
        connection.execute(sql.SQL("alter role analyst login password {}").format(hashed.decode()))
        connection.execute(
            "insert into ops.api_keys (key_id, name, salt, digest) values (%s, 'local', %s, %s)",
            [
                settings.api_secret.split("_")[1],
                salt,
                hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=1),
            ],
        )
    for line in OF_04E28AB.with_suffix(".files").read_text().splitlines():
        mode, kind, name = line.split(" ", 2)
        path = stack.home / name
        if kind == "d":
            path.mkdir(exist_ok=True)
        else:
            path.touch()
        path.chmod(int(mode, 8))
    return settings.api_secret


def test_a_home_of_04e28ab_opens_and_gets_the_rights_files_and_keys_of_now(tables: Stack) -> None:
    before, written = tables.up(), (tables.home / "stack.env").read_text()
    key = be_of_04e28ab(tables)
    as_analyst(tables, "select pg_advisory_lock(1)")
    assert len(open_to_others(tables.home)) > 20
    os.umask(UMASK)
    told: list[list[str]] = []
    with structlog.testing.capture_logs() as lines:
        state = up(tables.settings, with_api=False, tell_changes=told.append)
    assert (told, lines) == ([[]], [])

    assert {name: ref.pid for name, ref in state.processes.items()} == before
    assert (tables.home / "stack.env").read_text() == written
    assert open_to_others(tables.home) == []

    test_the_analyst_is_read_only_and_limited_in_time(tables)
    test_the_analyst_reads_gold_without_naming_it(tables)
    for statement in ("select pg_advisory_lock(1)", "create temporary table mine (id int)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_analyst(tables, "set default_transaction_read_only = off", statement)
    with pytest.raises(psycopg.OperationalError, match="does not have CONNECT privilege"):
        psycopg.connect(analyst_uri(tables.settings), dbname="postgres")

    cinelake = command_line(tables.home)
    narrow = "cinelake keys scope local events:write"
    assert narrow in cinelake.here("keys", "list").stderr
    ring = KeyRing(tables.settings)
    assert ring.check(key).scopes == sorted(Scope)
    ring.close()
    cinelake.here(*narrow.split()[1:])
    assert narrow not in cinelake.here("keys", "list").stderr


@pytest.mark.parametrize(
    ("done", "told"),
    [
        ("alter role analyst password 'x'", analyst.VERIFIER),
        ("alter role analyst set statement_timeout = 0", analyst.SETTINGS),
        ("alter role analyst in database cinelake set search_path = ops", analyst.SETTINGS),
        ("alter role analyst reset all", analyst.SETTINGS),
    ],
)
def test_what_the_analyst_changed_of_itself_is_put_back_and_told_once(
    tables: Stack, done: str, told: str
) -> None:
    structlog.contextvars.bind_contextvars(run_id="looks")
    bootstrap(tables.settings)
    settle_problem(tables.settings, subject_of("analyst"))
    look_after(tables.settings)
    assert open_problems(tables.settings) == []
    as_analyst(tables, "set default_transaction_read_only = off", done)
    look_after(tables.settings)
    look_after(tables.settings)
    assert [each.name for each in open_problems(tables.settings)] == [f"Role analyst {told}"]
    test_the_analyst_is_read_only_and_limited_in_time(tables)
    test_the_analyst_reads_gold_without_naming_it(tables)


def test_a_role_that_an_older_version_did_not_make_is_made_without_an_alert(tables: Stack) -> None:
    before = open_problems(tables.settings)
    with psycopg.connect(tables.settings.postgres) as connection:
        connection.execute("drop owned by analyst_pii")
        connection.execute("drop role analyst_pii")
    look_after(tables.settings)
    assert open_problems(tables.settings) == before
    with psycopg.connect(tables.settings.postgres) as connection:
        assert analyst.are_there(connection)


def test_up_tells_what_it_puts_back(tables: Stack) -> None:
    as_analyst(tables, "set default_transaction_read_only = off", "alter role analyst password 'x'")
    told: list[list[analyst.Change]] = []
    up(tables.settings, with_api=False, tell_changes=told.append)
    up(tables.settings, with_api=False, tell_changes=told.append)
    assert told == [[("analyst", analyst.VERIFIER)], []]


@pytest.mark.parametrize(
    "ended_by", [look_after, lambda settings: swap_gold(settings.postgres, patience_seconds=10)]
)
@pytest.mark.parametrize(
    ("statements", "state"),
    [
        (["select pg_sleep(60) from films"], "active"),
        (["begin", "select id from films"], "idle in transaction"),
    ],
)
def test_a_session_of_the_analyst_that_outlasts_its_time_is_ended_from_outside(
    tables: Stack,
    monkeypatch: pytest.MonkeyPatch,
    statements: list[str],
    state: str,
    ended_by: Callable[[Settings], object],
) -> None:
    with closing(psycopg.connect(analyst_uri(tables.settings), autocommit=True)) as session:
        session.execute("set statement_timeout = 0")
        session.execute("set idle_in_transaction_session_timeout = 0")
        *before, last = statements
        for each in before:
            session.execute(each.encode())
        session.pgconn.send_query(last.encode())
        await_analysts(tables, [(state,)])
        look_after(tables.settings)
        await_analysts(tables, [(state,)])
        monkeypatch.setattr(analyst, "STATEMENT_SECONDS", 0)
        ended_by(tables.settings)
        await_analysts(tables, [])


def await_analysts(stack: Stack, states: list[tuple[str]]) -> None:
    """Wait a moment until the sessions of analysts are in these states."""
    query = "select state from pg_stat_activity where usename = 'analyst'"
    for _ in range(100):
        if as_owner(stack, query) == states:
            return
        time.sleep(0.02)
    assert as_owner(stack, query) == states


def test_an_idle_session_of_the_analyst_stays(
    tables: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyst, "STATEMENT_SECONDS", 0)
    with psycopg.connect(analyst_uri(tables.settings), autocommit=True) as session:
        look_after(tables.settings)
        assert session.execute("select 1").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("cinelake bootstrap", bootstrap),
        ("cinelake tables", ensure_tables),
        ("cinelake tables", runs.latest),
        ("cinelake swap", lambda settings: swap_gold(settings.postgres, patience_seconds=0.3)),
    ],
)
def test_who_holds_a_lock_of_ours_is_named_with_the_next_step(
    tables: Stack, monkeypatch: pytest.MonkeyPatch, lock: str, wanted: Callable[[Settings], Any]
) -> None:
    monkeypatch.setattr("cinelake.postgres.LOCK_SECONDS", 0.2)
    with psycopg.connect(tables.settings.postgres) as holder:
        holder.execute("select pg_advisory_lock(hashtext(%s)), 'a@mail.example'", [lock])
        pid = holder.info.backend_pid
        with pytest.raises(ServiceError, match=f": process {pid} of role cinelake, ") as caught:
            wanted(tables.settings)
    assert "pg_advisory_lock" in caught.value.message
    assert f"`select pg_terminate_backend({pid})`" in caught.value.hint


def test_who_reads_a_table_that_is_to_be_changed_is_named(
    tables: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cinelake.postgres.LOCK_SECONDS", 0.2)
    with psycopg.connect(analyst_uri(tables.settings)) as reader:
        reader.execute("select count(success) from ops.gate_results")
        with pytest.raises(ServiceError, match="of role analyst, `select count") as caught:
            bootstrap(tables.settings)
        assert f"({reader.info.backend_pid})" in caught.value.hint


def test_the_transformer_reads_what_the_loader_wrote_but_cannot_change_it(tables: Stack) -> None:
    as_role = "set local role transformer"
    assert as_owner(tables, as_role, "select id from silver.films") == [(1,)]
    assert as_owner(tables, as_role, "select id from ops.films") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_owner(tables, as_role, "insert into silver.films values (2)")
    as_owner(tables, as_role, "create temporary table mine (id int)")
    as_owner(tables, as_role, "create schema mine", "drop schema mine")


def test_bootstrap_repeats_itself_and_mends_a_grant(tables: Stack) -> None:
    as_owner(tables, "revoke usage on schema gold from analyst")
    as_owner(tables, "grant usage on schema gold_next to analyst")
    bootstrap(tables.settings)
    bootstrap(tables.settings)
    assert as_analyst(tables, "select id from gold.films") == [(1,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_analyst(tables, "select id from gold_next.films")


def test_bootstrap_needs_no_superuser(tables: Stack) -> None:
    """As on a managed server: the owner of the database may make roles, no more."""
    settings = tables.settings
    with psycopg.connect(settings.postgres, autocommit=True) as connection:
        connection.execute("create role boss login createrole password 'boss-secret'")
        connection.execute(
            "grant loader, transformer, analyst, analyst_pii to boss with admin option"
        )
        connection.execute("create database managed owner boss")
        connection.execute("create database of_others owner boss")
    host = settings.postgres.rpartition("@")[2].rpartition("/")[0]
    managed = settings.model_copy(
        update={"postgres_uri": f"postgresql://boss:boss-secret@{host}/managed"}
    )
    with structlog.testing.capture_logs() as lines:
        bootstrap(managed)
        bootstrap(managed)
    told = " ".join(lines[-1]["may"])
    assert "pg_advisory_lock" in told
    assert "password" in told
    # Those who could have seen to that have: the superuser of this server.
    assert "temporary" not in told
    # Another program's database on that server stays as it was.
    assert "connect to the database of_others" in told
    with psycopg.connect(analyst_uri(managed)) as connection:
        assert connection.execute("select current_schema()").fetchone() == ("gold",)


def test_the_tokens_of_stack_env_are_in_no_log_and_no_command_line(stack: Stack) -> None:
    stack.up()
    settings = stack.settings
    password = settings.postgres.partition("cinelake:")[2].partition("@")[0]
    secrets = (password, settings.analyst_secret, settings.pseudonym_secret)
    texts = [log.read_text() for log in (stack.home / "stack" / "logs").iterdir()]
    texts += [json.dumps(process.cmdline()) for process in stack.processes()]
    assert not [secret for secret in secrets for text in texts if secret in text]


def test_psql_is_started_without_a_password_that_others_can_see(stack: Stack) -> None:
    stack.up()
    cinelake = str(Path(sys.executable).with_name("cinelake"))
    command = [cinelake, "sql", "--", "-Atc", "select pg_sleep(60)"]
    environment = os.environ | {"CINELAKE_HOME": str(stack.home)}
    asking = "select count(*) from pg_stat_activity where usename = 'analyst' and state = 'active'"
    with subprocess.Popen(command, env=environment) as psql:
        while as_owner(stack, asking) == [(0,)]:
            assert psql.poll() is None
            time.sleep(0.05)
        shown = psutil.Process(psql.pid).cmdline()
        psql.kill()
    assert shown[0].endswith("/psql")
    assert stack.settings.analyst_secret not in " ".join(shown)


def test_down_leaves_no_process_and_up_brings_the_data_back(stack: Stack) -> None:
    stack.up()
    as_owner(stack, "create table gold.stays (id int)")
    assert len(stack.processes()) >= 3
    down(stack.settings)
    assert stack.processes() == []
    assert not any(each.healthy for each in status(stack.settings).values())
    down(stack.settings)
    stack.up()
    assert as_owner(stack, "select count(*) from gold.stays") == [(0,)]
