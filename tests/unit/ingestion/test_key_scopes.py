"""A key does what its scopes say and nothing else."""

import pytest
from recording_publisher import KEY, KnownKeys, RecordingPublisher

from ingestion.api.app import create_app
from ingestion.api.document import SECURITY_SCHEMES
from ingestion.api.scopes import Scope

NEEDED = {
    "/v1/events": ("post", Scope.WRITE, 415),
    "/v1/recommendations/a%00": ("get", Scope.READ, 422),
    "/v1/similar/0": ("get", Scope.READ, 422),
}
"""By address: the method, the scope, and the answer to what is wrong in itself once the key is taken."""


@pytest.mark.parametrize("scopes", [[], [Scope.WRITE], [Scope.READ], list(Scope)], ids=str)
@pytest.mark.parametrize("path", NEEDED)
def test_a_route_asks_for_its_scope(path: str, scopes: list[Scope]) -> None:
    method, needed, taken = NEEDED[path]
    app = create_app(publisher=RecordingPublisher(), keys=KnownKeys(scopes=scopes))
    answer = app.test_client().open(path, method=method, headers={"X-API-Key": KEY})
    if needed in scopes:
        assert answer.status_code == taken
    else:
        assert answer.status_code == 403
        assert answer.get_json()["type"] == "urn:cinelake:problem:insufficient-scope"
        assert needed in answer.get_json()["detail"]
        assert needed in answer.headers["WWW-Authenticate"]


def test_the_document_names_the_scope_of_each_route_that_wants_a_key() -> None:
    app = create_app(publisher=RecordingPublisher(), keys=KnownKeys())
    paths = app.test_client().get("/openapi/openapi.json").get_json()["paths"]
    secured = {
        path: operation["security"]
        for path, operations in paths.items()
        for operation in operations.values()
        if "security" in operation
    }
    assert secured == {
        path: [{scheme: [scope]} for scheme in SECURITY_SCHEMES]
        for path, scope in {
            "/v1/events": Scope.WRITE,
            "/v1/recommendations/{user_id}": Scope.READ,
            "/v1/similar/{movie_id}": Scope.READ,
        }.items()
    }
    assert all("403" in each["responses"] for path in paths.values() for each in path.values())
