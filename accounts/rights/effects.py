"""What happens when a pending request is due."""

from accounts.pending.flow import Effect
from accounts.pending.request import RequestKind
from accounts.rights import deletion, lost_factor, restore

EFFECTS: dict[str, Effect] = {
    RequestKind.DELETE: deletion.delete,
    RequestKind.LOST_FACTOR: lost_factor.remove,
    RequestKind.RESTORE: restore.restore,
}
