"""The local MongoDB: SecantusDB, which speaks MongoDB's protocol and stores with WiredTiger."""

import sys
from urllib.parse import urlsplit

import pymongo
from pymongo.errors import PyMongoError

from cinelake.settings import Settings
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch
from cinelake.stack.service import Service
from cinelake.stack.state import StackState, stack_folder

CACHE = "128M"


def prepare(settings: Settings, state: StackState) -> Launch:
    """Make the data folder and say how to start the server."""
    stack = stack_folder(settings.home)
    folder = stack / "mongo"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "secantusd.toml"
    # A file of its own, though empty: without one the server looks for others on this machine.
    config.write_text("# All settings are on the command line.\n")
    command = [
        *(sys.executable, "-m", "secantus", "--config", str(config)),
        *("--host", HOST, "--port", str(state.port("mongo"))),
        *("--storage-path", str(folder / "data"), "--cache-size", CACHE, "--sync-on-commit"),
    ]
    return Launch(command, log=MONGO.log(stack), folder=folder)


def endpoint(settings: Settings) -> str:
    """The address without user and password."""
    uri = urlsplit(settings.mongo)
    return uri._replace(netloc=uri.netloc.rpartition("@")[2]).geturl()


def problem(settings: Settings) -> str | None:
    """What is wrong with the server, None when it answers."""
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        settings.mongo, serverSelectionTimeoutMS=2000, connectTimeoutMS=2000
    )
    try:
        client.admin.command("ping")
    except PyMongoError as error:
        # What follows the first comma is the driver's view of the whole topology.
        return f"no answer from {endpoint(settings)}: {str(error).partition(',')[0]}"
    finally:
        client.close()
    return None


MONGO = Service(
    name="mongo",
    variable="MONGO_URI",
    ports=("mongo",),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
