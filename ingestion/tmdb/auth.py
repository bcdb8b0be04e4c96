"""How a request shows TMDB's key: a v3 key as the parameter `api_key`, a v4 token as a bearer."""

from requests import PreparedRequest
from requests.auth import AuthBase


class ApiKeyAuth(AuthBase):
    """Adds the parameter `api_key` to the address, at the last moment before it is sent.

    Args:
        key: The v3 key.
    """

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the key to a request."""
        request.prepare_url(request.url, {"api_key": self._key})
        return request


class BearerAuth(AuthBase):
    """Adds the header `Authorization: Bearer ...`.

    Args:
        token: The v4 read access token.
    """

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the token to a request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def auth_for(secret: str) -> AuthBase:
    """The way this secret wants to be shown.

    Args:
        secret: A v3 key (32 hexadecimal digits) or a v4 token (a JSON Web Token, three parts with dots
            between), see https://developer.themoviedb.org/docs/authentication-application.
    """
    return BearerAuth(secret) if secret.count(".") == 2 else ApiKeyAuth(secret)
