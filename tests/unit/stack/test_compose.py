"""`docker-compose.yml` offers what the settings expect, in the versions of the local stack."""

import re
import shutil
import subprocess
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import yaml

from cinelake.settings import EXAMPLES, PROJECT_ROOT, Settings
from cinelake.stack.jars import JARS_XML
from cinelake.stack.kafka import PROPERTIES
from cinelake.stack.postgres import CONFIG, psql_binary
from cinelake.stack.state import DATABASE, OWNER
from ingestion.topics import OLDEST_MESSAGE_MS

FILE = PROJECT_ROOT / "docker-compose.yml"
AIRFLOW = PROJECT_ROOT / "airflow"
TEXT = FILE.read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
DEFAULTS = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))


def test_the_default_ports_are_those_of_the_example_settings() -> None:
    kafka = EXAMPLES["KAFKA_BOOTSTRAP_SERVERS"].rpartition(":")[2]
    assert DEFAULTS["KAFKA_PORT"] == kafka
    assert DEFAULTS["POSTGRES_PORT"] == str(urlsplit(EXAMPLES["POSTGRES_URI"]).port)
    assert DEFAULTS["MONGO_PORT"] == str(urlsplit(EXAMPLES["MONGO_URI"]).port)


def test_every_port_is_on_the_loopback_interface_alone() -> None:
    for name, service in SERVICES.items():
        if service.get("network_mode") == "host":
            continue
        assert len(service["ports"]) == 1, name
        for port in service["ports"]:
            assert re.fullmatch(rf"127\.0\.0\.1:\$\{{{name.upper()}_PORT:-\d+\}}:\d+", port)


def test_what_has_the_network_of_the_machine_listens_on_the_loopback_interface_alone() -> None:
    hosts = {name for name, each in SERVICES.items() if each.get("network_mode") == "host"}
    assert hosts == {"prometheus", "grafana"}
    listens = "--web.listen-address=127.0.0.1:${PROMETHEUS_PORT:-9090}"
    assert listens in SERVICES["prometheus"]["command"]
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SERVER_HTTP_ADDR"] == "127.0.0.1"
    assert environment["GF_SERVER_HTTP_PORT"] == "${GRAFANA_PORT:-3001}"


def test_the_owner_password_and_database_are_those_of_the_example_settings() -> None:
    uri = urlsplit(EXAMPLES["POSTGRES_URI"])
    environment = SERVICES["postgres"]["environment"]
    assert uri.username == environment["POSTGRES_USER"] == OWNER
    assert uri.path.strip("/") == environment["POSTGRES_DB"] == DATABASE
    assert environment["POSTGRES_PASSWORD"] == "${POSTGRES_PASSWORD:-secret}"
    assert uri.password == DEFAULTS["POSTGRES_PASSWORD"]


def test_every_variable_is_explained_at_the_top_and_none_is_a_setting() -> None:
    head = TEXT.partition("name: cinelake")[0]
    for name, default in DEFAULTS.items():
        assert re.search(rf"\b{name} \({default}\)", head), name
    assert not set(DEFAULTS) & {field.alias for field in Settings.model_fields.values()}
    assert set(re.findall(r"\$\{([A-Z_]+)", TEXT)) == set(DEFAULTS)


def test_the_images_have_the_versions_of_the_local_stack() -> None:
    kafka = ElementTree.parse(JARS_XML).find(".//dependency[@name='kafka_2.13']")
    assert kafka is not None
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka.attrib['rev']}"
    said = subprocess.run([psql_binary(), "--version"], capture_output=True, text=True, check=True)
    major = re.search(r"\) (\d+)\.", said.stdout)
    assert major is not None
    assert SERVICES["postgres"]["image"] == f"postgres:{major[1]}"
    assert SERVICES["mongo"]["image"] == "mongo:8"


def test_kafka_is_configured_as_the_local_one() -> None:
    environment = SERVICES["kafka"]["environment"]
    lines = [line.partition("=") for line in PROPERTIES.splitlines() if "=" in line]
    local = {name: value for name, _, value in lines if not name.startswith("#")}
    own = {"listeners", "advertised", "listener", "inter", "log.dirs", "controller"}
    for name, value in local.items():
        if name.startswith(tuple(own)):
            continue
        expected = value.format(oldest=OLDEST_MESSAGE_MS)
        assert environment[f"KAFKA_{name.upper().replace('.', '_')}"] == expected, name


def test_postgres_is_configured_as_the_local_one() -> None:
    given = {part for part in SERVICES["postgres"]["command"] if "=" in part}
    apart = {"listen_addresses", "unix_socket_directories", "log_timezone"}
    for name in set(CONFIG) - apart:
        assert f"{name}={CONFIG[name]}" in given


def test_every_service_has_a_health_check_and_a_named_volume() -> None:
    volumes = yaml.safe_load(TEXT)["volumes"]
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"], name
        named = [each for each in service["volumes"] if not each.startswith("./")]
        assert [volume.partition(":")[0] for volume in named] == [f"{name}-data"]
        files = set(service["volumes"]) - set(named)
        assert all(each.endswith(":ro") for each in files)
    assert set(volumes) == {f"{name}-data" for name in SERVICES}


def test_all_but_the_stores_have_to_be_asked_for() -> None:
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}
    stores = {"kafka": None, "postgres": None, "mongo": None}
    fronts = {name: [name] for name in ("metabase", "airflow")}
    monitoring = {name: ["monitoring"] for name in ("prometheus", "grafana")}
    assert profiles == stores | fronts | monitoring


def test_airflow_has_the_version_of_the_local_one_and_finds_the_stores_by_their_names() -> None:
    pinned = re.search(
        r"^apache-airflow==(.+)$", (AIRFLOW / "constraints.txt").read_text(), re.MULTILINE
    )
    assert pinned is not None
    assert f"FROM apache/airflow:{pinned[1]}-python3.11\n" in (AIRFLOW / "Dockerfile").read_text()
    environment = SERVICES["airflow"]["environment"]
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] in SERVICES["kafka"]["environment"][
        "KAFKA_ADVERTISED_LISTENERS"
    ]  # fmt: skip
    for name, store in (("POSTGRES_URI", "postgres"), ("MONGO_URI", "mongo")):
        uri = urlsplit(environment[name].replace("${POSTGRES_PASSWORD:-secret}", "secret"))
        example = urlsplit(EXAMPLES[name])
        assert (uri.hostname, uri.port, uri.path) == (store, example.port, example.path)


def test_docker_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.call([docker, "compose", "version"]) != 0:
        pytest.skip("there is no `docker compose` here")
    subprocess.run([docker, "compose", "-f", str(FILE), "config", "--quiet"], check=True)
