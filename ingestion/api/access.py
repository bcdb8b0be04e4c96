"""Who sends: the key of a request, and whether it may send another one now."""

from flask import Request

from cinelake.errors import CinelakeError
from ingestion.api.keys import ApiKey
from ingestion.api.scopes import Scope
from ingestion.api.services import Services


class TooManyRequestsError(CinelakeError):
    """A key has used up its rate.

    Args:
        message: What was used up.
        wait_seconds: When the next request may come.
    """

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class MissingScopeError(CinelakeError):
    """A key is good, but not for this.

    Args:
        scope: What it lacks.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"The key lacks the scope {scope}.")
        self.scope = scope


def admit(request: Request, services: Services, scope: Scope) -> ApiKey:
    """Let a request in.

    Args:
        request: The request, its body not read yet.
        services: Keys and limits.
        scope: What it asks for.

    Returns:
        The key it was sent with.

    Raises:
        InvalidKeyError: It has no key, or one that is not good.
        MissingScopeError: The key does not allow this.
        TooManyRequestsError: The key has used up its rate.
        ServiceError: The keys could not be read yet.
    """
    key = services.keys.check(presented_key(request))
    if scope not in key.scopes:
        raise MissingScopeError(scope)
    rate = key.requests_per_second or services.requests_per_second
    wait = services.limiter.wait_seconds(key.key_id, rate)
    if wait > 0:
        raise TooManyRequestsError(f"The key may make {rate:g} requests a second.", wait)
    return key


def presented_key(request: Request) -> str | None:
    """The key a request carries: as a bearer token, as `X-API-Key`, or as the parameter `key`.

    The parameter is for `navigator.sendBeacon`, which can set no header.
    """
    # As WSGI has them: the object that the request makes of its headers takes longer to ask than all else here.
    environ: dict[str, str] = request.environ
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return environ.get("HTTP_X_API_KEY") or request.args.get("key")
