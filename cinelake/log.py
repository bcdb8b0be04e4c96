"""Structured logs on standard error: lines for a person, or JSON for a machine."""

import logging
import sys
import uuid

import structlog

from cinelake.settings import Settings


def configure_logging(settings: Settings) -> str:
    """Set up structlog for this process.

    Args:
        settings: `run_id`, `log_format` and `log_level` are used.

    Returns:
        The run id that is bound to every line of this process: the one it was given, else a short random string.
    """
    run_id = settings.run_id or uuid.uuid4().hex[:12]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _with_run_id(run_id),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        # Asked anew for each line: standard error may be another one by then, or closed.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # The clients' own lines would interrupt ours; what goes wrong they raise.
    logging.getLogger("kafka").setLevel(logging.ERROR)
    structlog.contextvars.bind_contextvars(run_id=run_id)
    return run_id


def _with_run_id(run_id: str) -> structlog.types.Processor:
    """Name the run in lines of threads that did not begin with our context, such as those in which Spark calls us."""

    def processor(_: object, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
        line.setdefault("run_id", run_id)
        return line

    return processor


def get_logger(stage: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry the stage, for example `get_logger("bronze").info("batch", rows=10)`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(stage=stage)
    return logger
