"""The pages about the API are open to anyone, so a robot that asks for them again and again must cost little."""

import pytest
from ninja import NinjaAPI

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("page", ["/api/docs", "/api/openapi.json"])
def test_the_document_is_made_once(page, client, monkeypatch):
    made = []
    real = NinjaAPI.get_openapi_schema
    monkeypatch.setattr(
        NinjaAPI, "get_openapi_schema", lambda *args, **options: made.append(1) or real(*args, **options)
    )
    answers = [client.get(page) for _ in range(3)]
    assert all(b"/api/jobs/signin-notification" in answer.content for answer in answers)
    assert len(made) <= 1
