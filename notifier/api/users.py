"""Operations on the users of the calling site."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Path, Router, Status

from accounts.sites.erasure import erase_user
from accounts.sites.keys import Scope
from notifier.api import fields
from notifier.api.auth import BearerKey, caller_of, refuse, site_of
from notifier.api.operations import error_responses

router = Router(tags=["Users"])
UserId = Annotated[
    str,
    Path(
        alias="userId",
        min_length=1,
        max_length=128,
        pattern=fields.NO_CONTROLS,
        description="The id that you post as userId.",
    ),
]


@router.delete(
    "/{path:userId}",
    auth=[BearerKey(Scope.ADMIN), refuse],
    response={204: None, **error_responses(400, 404)},
    operation_id="eraseUser",
    summary="Erase a user",
)
def erase(request: HttpRequest, user_id: UserId) -> Any:
    """Waiting notices are discarded; everything stored about the user of the key's site is erased.

    204 also for a user that is not known; 404 for an id with a line break, which no user has.
    """
    caller = caller_of(request)
    erase_user(site_of(caller), user_id, who=caller.who)
    return Status(204, None)
