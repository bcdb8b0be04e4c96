"""What the health checks of services that speak HTTP have in common."""

import http.client

from cinelake.stack.ports import HOST


def ask(port: int | None, path: str, timeout: float = 5) -> tuple[bytes, str | None]:
    """Ask a service on a loopback port how it is.

    Args:
        port: Its port; None when it has none yet.
        path: Of the address.
        timeout: Seconds to wait for an answer.

    Returns:
        What it answered, and what is wrong with it: None when it answered 200.
    """
    if port is None:
        return b"", "it has no port yet"
    address = f"http://{HOST}:{port}"
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        return b"", f"no answer from {address}: {error}"
    finally:
        connection.close()
    problem = (
        None if answer.status == 200 else f"{address}{path.rstrip('/')} answers {answer.status}"
    )
    return body, problem
