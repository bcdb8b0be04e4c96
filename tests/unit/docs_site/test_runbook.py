"""The runbook has an entry for whatever can go wrong and for nothing else; its commands exist; no error is left out."""

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import werkzeug.exceptions
import yaml

from cinelake import cli
from cinelake.settings import PROJECT_ROOT
from expectations.advice import ADVICE
from ingestion.api.document import SERVER_ANSWERS, EventsApi
from ingestion.api.recommend_routes import recommend_blueprint
from ingestion.api.routes import blueprint
from lakehouse.contract import table
from tests.unit.docs_site.raised_errors import (
    BARE,
    ErrorClass,
    RaisedError,
    error_classes,
    raised_errors,
)

RUNBOOK = PROJECT_ROOT / "docs" / "runbook.md"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANSWERED_BY_THE_API = {
    "TooManyRequestsError",
    "BatchTooLargeError",
    "CompressedBodyError",
    "InvalidKeyError",
    "MissingScopeError",
    "BadInputError",
}
"""Made in `ingestion.api`, whose answer says itself what the client is to do; nobody sees a hint of these."""


def _text() -> str:
    return RUNBOOK.read_text("utf-8")


def _prose() -> str:
    """The runbook without its code blocks."""
    return FENCE.sub("", _text())


def _sections(mark: str, text: str) -> dict[str, str]:
    """What stands under each heading of a level, up to the next of that level."""
    parts = re.split(rf"^{mark} (.+)$", text, flags=re.MULTILINE)
    headings = parts[1::2]
    assert len(set(headings)) == len(headings)
    return dict(zip(headings, parts[2::2], strict=True))


def _entries(section: str) -> list[str]:
    return list(_sections("###", _sections("##", _prose())[section]))


def _names(section: str) -> list[str]:
    """The entries of a section whose headings are names in backticks."""
    return [heading.removeprefix("`").removesuffix("`") for heading in _entries(section)]


@pytest.fixture(scope="module")
def raised() -> list[RaisedError]:
    return raised_errors()


def test_every_alert_is_in_the_index_and_there_is_no_other() -> None:
    rules = yaml.safe_load((PROJECT_ROOT / "monitoring" / "alerts.yml").read_text("utf-8"))
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    index = _sections("###", _sections("##", _prose())["Where to look first"])["By alert"]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", index, re.MULTILINE)
    assert [name for name, _ in rows] == alerts
    assert all("](#" in place for _, place in rows)


# --- Entries ------------------------------------------------------------------------------------------------


def _exit_codes() -> dict[int, str]:
    """Each exit code with its words, from the command line's docstring, and the one for an interruption."""
    said = (cli.__doc__ or "").partition("Exit codes: ")[2].replace("\n", " ").rstrip(". ")
    codes = {int(each[0]): each[2:] for each in said.split("; ")}
    calls = (node for node in ast.walk(ast.parse(inspect.getsource(cli.main))))
    exits = [
        each
        for each in calls
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "sys.exit"
    ]
    numbers = [each.args[0].value for each in exits if isinstance(each.args[0], ast.Constant)]
    return codes | {int(str(number)): "interrupted" for number in numbers}


def test_every_exit_code_has_its_section_and_there_is_no_other() -> None:
    titles = [title for title in _sections("##", _prose()) if title.startswith("Exit code ")]
    assert titles == [f"Exit code {code}: {words}" for code, words in _exit_codes().items()]


def _classes_by_exit_code() -> Iterator[tuple[int, str, str, str]]:
    for title, section in _sections("##", _prose()).items():
        if match := re.match(r"Exit code (\d+):", title):
            for heading, text in _sections("###", section).items():
                named = re.fullmatch(r"`(\w+)` \(`([\w.]+)`\)", heading)
                assert named, heading
                yield int(match[1]), named[1], named[2], text


def test_every_class_of_errors_has_its_entry_under_its_exit_code_and_there_is_no_other() -> None:
    written = [(name, module, code) for code, name, module, _ in _classes_by_exit_code()]
    assert len(written) == len(set(written))
    assert set(written) == {(each.name, each.module, each.exit_code) for each in error_classes()}


def _module_of(error: RaisedError, classes: list[ErrorClass]) -> str:
    """Where the class of an error is defined: in the nearest package that has one of that name."""
    homes = [each.module for each in classes if each.name == error.kind]

    def nearness(home: str) -> int:
        package = home.rpartition(".")[0]
        return len(package) if error.module.startswith(package) else 0

    return max(homes, key=nearness)


def test_every_message_stands_in_the_entry_of_its_class_and_there_is_no_other(
    raised: list[RaisedError],
) -> None:
    made: dict[tuple[str, str], set[str]] = {}
    classes = error_classes()
    for error in raised:
        message = " ".join(error.message.split())
        # What is passed on from another error stands there where that one is made.
        if not BARE.fullmatch(message):
            made.setdefault((error.kind, _module_of(error, classes)), set()).add(message)
    written: dict[tuple[str, str], set[str]] = {}
    for _, name, module, text in _classes_by_exit_code():
        rows = [line for line in text.splitlines() if re.match(r"\| `.+` \| .{5}", line)]
        messages = {re.sub(r"^`+|`+$", "", row[2:].partition(" | ")[0]) for row in rows}
        if messages:
            written[name, module] = messages
    assert written == made


def test_every_rule_of_the_gates_has_its_entry_and_there_is_no_other() -> None:
    assert sorted(_names("Gate rules")) == sorted(ADVICE)


def _rules_in_code() -> set[str]:
    """The names that silver gives to the rules it makes."""
    files = [
        PROJECT_ROOT / "lakehouse" / "quarantine.py",
        *(PROJECT_ROOT / "lakehouse" / "silver").glob("*.py"),
    ]
    calls = [node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))]
    return {
        str(node.args[0].value)
        for node in calls
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Rule"
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_rule_that_quarantines_has_its_entry_and_there_is_no_other() -> None:
    columns = table("silver.quarantine").columns
    allowed = next(column.valid_values for column in columns if column.name == "rule")
    assert _rules_in_code() == set(allowed)
    assert sorted(_names("Quarantine rules")) == sorted(allowed)


def _problems_in_code() -> set[tuple[int, str]]:
    """Status and kind of each problem that the API answers with."""
    folder = PROJECT_ROOT / "ingestion" / "api"
    nodes = [
        node
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
    ]
    found: set[tuple[int, str]] = set()
    for node in nodes:
        match node:
            case ast.Call(
                func=ast.Name(id="problem"),
                args=[ast.Constant(value=int(status)), ast.Constant(value=kind), *_],
            ):
                found.add((status, str(kind)))
            case ast.ImportFrom(module="werkzeug.exceptions", names=names):
                found |= {_of_werkzeug(alias.name) for alias in names if alias.name not in BASES}
    return found


BASES = {"HTTPException", "ClientDisconnected"}
"""Names that the API catches and never answers with."""
OF_FLASK = ["BadRequest", "NotFound", "MethodNotAllowed"]
"""What Flask answers by itself, without a line of ours."""


def _of_werkzeug(name: str) -> tuple[int, str]:
    kind = getattr(werkzeug.exceptions, name)()
    return kind.code, kind.name.lower().replace(" ", "-")


def test_every_answer_of_the_api_has_its_entry_and_there_is_no_other() -> None:
    app = EventsApi()
    app.register_api(blueprint)
    app.register_api(recommend_blueprint)
    paths = app.api_doc["paths"].values()
    documented = {
        int(status) for path in paths for each in path.values() for status in each["responses"]
    }
    problems = _problems_in_code() | set(map(_of_werkzeug, OF_FLASK))
    expected = {f"{status} `{kind}`" for status, kind in problems}
    expected |= {str(status) for status in documented if status < 400} | set(SERVER_ANSWERS)
    assert sorted(_entries("API answers")) == sorted(expected)
    of_the_api = documented - set(map(int, SERVER_ANSWERS))
    assert {status for status in of_the_api if status >= 400} <= {status for status, _ in problems}


def test_every_link_leads_to_a_heading_or_a_file() -> None:
    headings = re.findall(r"^##+ (.+)$", _prose(), flags=re.MULTILINE)
    anchors = {"#" + re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    links = re.findall(r"\]\(([^)]+)\)", _prose())
    assert links
    wrong = [
        link
        for link in links
        if (link not in anchors if link.startswith("#") else not (RUNBOOK.parent / link).exists())
    ]
    assert wrong == []


# --- Commands -----------------------------------------------------------------------------------------------


def _words(line: str) -> list[str]:
    """The words of a command up to its end: a pipe, a redirection, a closing bracket or a comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = []
    for word in lexer:
        if word[0] in "|;<>)&":
            break
        words.append(word)
    return words


def _commands() -> list[str]:
    """What follows `cinelake` in each line of the shell blocks."""
    blocks = "".join(code for language, code in FENCE.findall(_text()) if language == "sh")
    return re.findall(r"(?:^|[ (])cinelake (.+)$", blocks, flags=re.MULTILINE)


def _mentions() -> list[str]:
    return re.findall(r"`cinelake ([^`]+)`", _prose())


def _resolved(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the others."""
    command: Any = typer.main.get_command(cli.app)
    # Typer brings a Click of its own, so that a group is known by what it has.
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if hasattr(command, "commands"):
        assert command.invoke_without_command, f"{command.name} alone does nothing"
        assert not words or words[0].startswith("-"), f"{command.name} has no {words[0]}"
    return command, words


@pytest.mark.parametrize("line", sorted(set(_commands())))
def test_a_command_of_a_code_block_is_one_that_the_command_line_takes(line: str) -> None:
    command, words = _resolved(_words(line))
    command.make_context("cinelake", words)


@pytest.mark.parametrize("mention", sorted(set(_mentions())))
def test_a_command_in_the_prose_exists_with_its_options(mention: str) -> None:
    command, words = _resolved(_words(mention))
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(
    "line", ["gold roll-back", "nothing", "gates --runs 1", "trace", "backup restore"]
)
def test_a_command_that_does_not_exist_or_lacks_something_is_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"alone does nothing|has no|No such option|Missing"):
        test_a_command_of_a_code_block_is_one_that_the_command_line_takes(line)


def test_the_next_steps_of_errors_and_rules_name_commands_that_exist(
    raised: list[RaisedError],
) -> None:
    steps = [error.hint for error in raised] + list(ADVICE.values())
    mentions = {each for step in steps for each in re.findall(r"`cinelake ([^`]+)`", step)}
    assert mentions
    for mention in mentions:
        test_a_command_in_the_prose_exists_with_its_options(mention)


# --- The list of errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "known",
    [
        RaisedError(
            "ServiceError",
            5,
            "PostgreSQL cannot be reached: {error}",
            "Run `cinelake up`, or check POSTGRES_URI.",
            "cinelake.postgres",
        ),
        # Message and hint through two constructors, the hint from a dictionary by the class, the code its own.
        RaisedError(
            "InvalidKeyError",
            2,
            "TMDB answers {status} to {path}: {said} (code {code})",
            "Check TMDB_API_KEY: a v3 key or a v4 read access token of https://www.themoviedb.org/settings/api.",
            "ingestion.tmdb.errors",
        ),
        # The message of the constructor itself.
        RaisedError(
            "InvalidEventError",
            2,
            "The event is not valid: {listed}",
            "GET /v1/schema shows the contract.",
            "ingestion.events",
        ),
        # The hint from a function.
        RaisedError(
            "SettingError",
            2,
            "Java 17 or 21 is missing: no java {where}.",
            "Install one (Debian, Ubuntu: apt-get install openjdk-17-jre-headless or openjdk-21-jre-headless,"
            " as there is; macOS: brew install openjdk@21) and, if there are several, set JAVA_HOME to its folder.",
            "cinelake.stack.jars",
        ),
        # Both from the caller of a helper.
        RaisedError(
            "ContractRefusedError",
            1,
            "The contract of {full_name} {version} does not fit its table in the lake: {named}.",
            "Undo that change in the contract, and add an optional column instead, or build silver anew from bronze;"
            " docs/contracts.md says how.",
            "lakehouse.evolve",
        ),
    ],
    ids=lambda error: error.kind,
)
def test_a_known_error_is_found_with_its_texts(
    known: RaisedError, raised: list[RaisedError]
) -> None:
    assert known in raised


def test_errors_come_by_module_and_then_by_line(tmp_path: Path) -> None:
    _write(tmp_path, "cinelake/errors.py", (PROJECT_ROOT / "cinelake" / "errors.py").read_text())
    source = (
        "from cinelake.errors import ServiceError\n\n\ndef fail():\n    raise ServiceError({!r})\n"
    )
    _write(
        tmp_path,
        "pipeline/second.py",
        source.format("third") + "    raise ServiceError('fourth')\n",
    )
    _write(
        tmp_path,
        "lakehouse/first.py",
        source.format("first") + "    raise ServiceError('second')\n",
    )
    found = raised_errors(tmp_path)
    assert [error.message for error in found] == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise BadInputError('a' 'b' + 'c')", "abc"),
        (
            "raise BadInputError(f'{x} of {x.size:,} in {x[\"name\"]!r}, {len(x)} more')",
            "{x} of {size} in {name}, … more",
        ),
        ("text = f'no {x}'; raise BadInputError(text)", "no {x}"),
        ("text = 'a'; text = 'b'; raise BadInputError(text)", "{text}"),
        ("for text in x: raise BadInputError(text)", "{text}"),
        ("raise BadInputError(message='named')", "named"),
        ("raise BadInputError(f'{LIMIT} at most')", "7 at most"),
    ],
)
def test_a_message_is_read_without_running_anything(
    tmp_path: Path, code: str, message: str
) -> None:
    _write(tmp_path, "cinelake/errors.py", (PROJECT_ROOT / "cinelake" / "errors.py").read_text())
    source = (
        f"from cinelake.errors import BadInputError\n\nLIMIT = 7\n\n\ndef fail(x):\n    {code}\n"
    )
    _write(tmp_path, "pipeline/it.py", source)
    assert [error.message for error in raised_errors(tmp_path)] == [message]


def _write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_every_place_that_makes_an_error_is_found(raised: list[RaisedError]) -> None:
    """Counted in another way: by the names of the classes, line by line."""
    names = "|".join({each.name for each in error_classes()})
    pattern = re.compile(rf"(?<!class )\b({names})\(")
    modules = {error.module for error in raised}
    for file in PROJECT_ROOT.glob("*/**/*.py"):
        module = ".".join(file.relative_to(PROJECT_ROOT).with_suffix("").parts)
        if (
            module.partition(".")[0] in {"tests", "benchmarks", "dbt_project"}
            or ".venv" in file.parts
        ):
            continue
        made = pattern.findall(
            re.sub(r'""".*?"""|class .*', "", file.read_text("utf-8"), flags=re.DOTALL)
        )
        assert not made or module in modules, module


def test_no_error_has_an_empty_message(raised: list[RaisedError]) -> None:
    assert [error for error in raised if not error.message.strip()] == []


def test_every_error_says_what_to_do_next(raised: list[RaisedError]) -> None:
    silent = {error.kind for error in raised if not error.hint}
    assert silent == ANSWERED_BY_THE_API
    assert {error.module.rpartition(".")[0] for error in raised if not error.hint} == {
        "ingestion.api"
    }
