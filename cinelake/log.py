"""Structured logs: lines for a person or JSON for a machine, tied to their run, without what must not be in a log.

A process logs on standard error, what it starts has a file of its own. Whatever a library has to say goes the same way.
"""

import logging
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

import structlog

from cinelake.harmless import harmless
from cinelake.masking import mask_all
from cinelake.settings import Settings
from cinelake.strict_json import strict_json

MAX_LOG_BYTES = 20_000_000
"""A log file that is longer makes room for a new one."""
KEPT_LOGS = 3
"""Former log files that are kept, `.1` the newest."""
RUN_ID_HEADER = "X-Run-Id"
"""Names, in a request to the events API, the run that it is a part of."""
_QUIET = ("kafka", "azure", "urllib3", "py4j")
"""Libraries whose warnings would interrupt ours; what goes wrong they raise."""


def configure_logging(settings: Settings) -> str:
    """Set up the logs of this process, those of its libraries included.

    Args:
        settings: `run_id`, `log_format` and `log_level` are used.

    Returns:
        The run id that is bound to every line of this process: the one it was given, else a short random string.
    """
    run_id = settings.run_id or uuid.uuid4().hex[:12]
    structlog.configure(
        processors=[*_chain(run_id), _renderer(settings, sys.stderr)],
        wrapper_class=_levels(settings),
        # Asked anew for each line: standard error may be another one by then, or closed.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _adopt_libraries(settings, run_id)
    structlog.contextvars.bind_contextvars(run_id=run_id)
    return run_id


def current_run_id() -> str:
    """The run id that is bound to this process's log lines."""
    return str(structlog.contextvars.get_contextvars()["run_id"])


def get_logger(stage: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry the stage, for example `get_logger("bronze").info("batch", rows=10)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(stage=stage)
    return logger


@contextmanager
def file_logger(
    settings: Settings, path: Path, stage: str
) -> Iterator[structlog.typing.FilteringBoundLogger]:
    """A logger that writes to a file of its own, which is rotated, in place of standard error.

    Args:
        settings: `log_format` and `log_level` are used.
        path: The file; its folder is made.
        stage: As for `get_logger`.

    Yields:
        The logger. Its lines carry the run of who opened it, whichever thread writes them.
    """
    run_id = structlog.contextvars.get_contextvars().get("run_id", "")
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOGS)
    # Not one of logging's own tree: nobody else is to find it, or to hear it.
    sink = logging.Logger(stage)
    sink.addHandler(handler)
    try:
        yield structlog.wrap_logger(
            sink,
            processors=[*_chain(run_id), _renderer(settings, None)],
            wrapper_class=_levels(settings),
            stage=stage,
        )
    finally:
        handler.close()


def _chain(run_id: str) -> list[structlog.typing.Processor]:
    """What is done to each line before it becomes text."""
    return [
        structlog.contextvars.merge_contextvars,
        _with_run_id(run_id),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _masked,
    ]


def _renderer(settings: Settings, stream: TextIO | None) -> structlog.typing.Processor:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(strict_json)
    as_text = structlog.dev.ConsoleRenderer(colors=stream is not None and stream.isatty())
    return lambda logger, method, line: as_text(logger, method, _harmless(line))


def _harmless(line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A line of which no text steers the terminal or ends it; JSON has codes for such characters itself."""
    return {
        name: harmless(value, "\n\t" if name == "exception" else "")
        if isinstance(value, str)
        else value
        for name, value in line.items()
    }


def _levels(settings: Settings) -> Any:
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level])


def _with_run_id(run_id: str) -> structlog.typing.Processor:
    """Name the run in lines of threads that did not begin with our context, such as those in which Spark calls us."""

    def processor(
        _: object, __: str, line: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        line.setdefault("run_id", run_id)
        return line

    return processor


def _masked(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # What begins with an underscore is logging's own, and goes before the line becomes text.
    return {
        name: value if name.startswith("_") else mask_all(value) for name, value in line.items()
    }


class _LibraryHandler(logging.StreamHandler[TextIO]):
    """Writes what libraries log as our own lines, on the standard error of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _adopt_libraries(settings: Settings, run_id: str) -> None:
    handler = _LibraryHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_library, *_chain(run_id)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _renderer(settings, sys.stderr),
            ],
        )
    )
    root = logging.getLogger()
    for former in [each for each in root.handlers if isinstance(each, _LibraryHandler)]:
        root.removeHandler(former)
    root.addHandler(handler)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _library(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    record: logging.LogRecord = line["_record"]
    line["stage"] = record.name.partition(".")[0]
    return line
