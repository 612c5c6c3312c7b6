"""The history that a sign-in is judged by, as a function of PostgreSQL: planned once for each session."""

from django.db import migrations

QUERY = """
    RETURN QUERY WITH recent AS (
        SELECT at, network, country FROM accounts_signin
        WHERE {owner} AND disputed_at IS NULL AND closed_since IS NULL
            AND at > clock_timestamp() - days * interval '1 day'
        ORDER BY at DESC LIMIT looked_at
    ), elsewhere AS (
        SELECT at, country FROM recent WHERE country NOT IN ('', its_country) ORDER BY at DESC LIMIT 1
    )
    SELECT clock_timestamp(),
           (SELECT count(*) FROM accounts_signin WHERE {owner} AND notice = 'limited' AND at > coalesce(
               (SELECT max(at) FROM accounts_signin WHERE {owner} AND notice IN ('queued', 'pending')),
               '2000-01-01')),
           EXISTS (SELECT 1 FROM accounts_signin WHERE {owner}),
           (SELECT max(at) FROM recent),
           EXISTS (SELECT 1 FROM recent WHERE country <> ''),
           EXISTS (SELECT 1 FROM recent WHERE country = its_country AND country <> ''),
           EXISTS (SELECT 1 FROM recent WHERE network = ANY(networks) AND network <> ''),
           EXISTS (SELECT 1 FROM accounts_device WHERE {owner} AND browser = its_browser
                   AND system = its_system AND browser || system <> ''),
           (SELECT country FROM elsewhere)::text, (SELECT at FROM elsewhere),
           device.id, device.first_at, device.first_of_account, {address}
    FROM (SELECT 1 AS one) AS row_of_its_own
    LEFT JOIN (SELECT * FROM accounts_device WHERE {owner} AND secret = ANY(secrets) AND secret <> '' LIMIT 1)
        AS device ON true
"""
ADDRESSES = """
    LEFT JOIN account_emailaddress AS address
        ON address.user_id = its_user AND (address.verified OR lower(address.email) = lower(its_email))
    ORDER BY address.id LIMIT addresses
"""
OF_THIS_SITE = (
    QUERY.format(owner="user_id = its_user", address="address.email::text, address.verified") + ADDRESSES
)
OF_ANOTHER_SITE = QUERY.format(owner="site_id = its_site AND user_key = its_user_key", address="NULL::text, NULL::bool")
# A sign-in has the columns `user_id` or `site_id` and `user_key`; the parameter `its_user` decides which.
FUNCTION = f"""
CREATE FUNCTION sign_in_history(
    its_user bigint, its_site bigint, its_user_key text, its_browser text, its_system text, its_country text,
    its_email text, secrets text[], networks text[], days integer, looked_at integer, addresses integer
) RETURNS TABLE (
    now timestamptz, limited bigint, seen boolean, last_at timestamptz, located boolean, country_seen boolean,
    network_seen boolean, families_seen boolean, elsewhere text, elsewhere_at timestamptz,
    device_id bigint, device_first_at timestamptz, device_first boolean, address text, verified boolean
) LANGUAGE plpgsql STABLE ROWS 1 AS $$
#variable_conflict use_column
BEGIN
    IF its_user IS NULL THEN
        {OF_ANOTHER_SITE};
    ELSE
        {OF_THIS_SITE};
    END IF;
END $$
"""
ARGUMENTS = "bigint, bigint, text, text, text, text, text, text[], text[], integer, integer, integer"


def add_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(FUNCTION)


def drop_function(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP FUNCTION sign_in_history({ARGUMENTS})")


class Migration(migrations.Migration):

    dependencies = [("accounts", "0012_disputes_of_sites")]

    operations = [migrations.RunPython(add_function, drop_function)]
