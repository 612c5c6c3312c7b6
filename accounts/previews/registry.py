"""Every variant of every email: what `manage.py preview_mails`, the admin page, the checks and the tests go through."""

from collections.abc import Iterator
from functools import cache

from accounts.mail.brand import Brand
from accounts.previews import accounts, sign_ins
from accounts.previews.variant import Variant, example_brand, languages

OWN, EXAMPLE = "own", "example"


@cache
def all_variants() -> tuple[Variant, ...]:
    """Return the variants, notices of sign-ins first."""
    return (*sign_ins.variants(), *accounts.variants())


def variants_of(brand: Brand) -> list[Variant]:
    """Return the variants that a site sends."""
    return [variant for variant in all_variants() if variant.is_sent_by(brand)]


def find_variant(name: str, brand: Brand) -> Variant | None:
    """Return a variant that a site sends, by its name; None for an unknown one."""
    return next((variant for variant in variants_of(brand) if variant.name == name), None)


def brands() -> dict[str, Brand]:
    """Return this site's brand and that of an invented other site, by the names that commands and pages use."""
    return {OWN: Brand.of_this_site(), EXAMPLE: example_brand()}


def every_mail() -> Iterator[tuple[Variant, str, Brand]]:
    """Yield each variant with each language, for both sites."""
    for brand in brands().values():
        for variant in variants_of(brand):
            for language in languages():
                yield variant, language, brand
