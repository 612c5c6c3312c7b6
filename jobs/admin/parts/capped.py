"""Django's paginator with a limited count, which never reads a whole table."""

from django.core.paginator import Paginator
from django.utils.functional import cached_property

from jobs.admin.parts import paging


class CappedPaginator(Paginator):
    """Pages of the first `paging.COUNT_LIMIT` rows; beyond them, a filter is quicker."""

    @cached_property
    def count(self) -> int:
        return min(paging.count_capped(self.object_list), paging.COUNT_LIMIT)  # type: ignore[arg-type]
