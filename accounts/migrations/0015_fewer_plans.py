"""Functions of PostgreSQL, planned once for each session: the key of a request, and a history of fewer steps.

The history of another site's user counts no sign-ins without a notice: only emails to users of this site name them.
"""

from importlib import import_module

from django.db import migrations

KEYS = """
CREATE FUNCTION api_keys_with_site(its_prefix text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT json_build_array(row_to_json(key), row_to_json(site))
        FROM api_keys AS key JOIN accounts_site AS site ON site.id = key.site_id WHERE key.prefix = its_prefix
    );
END $$
"""
QUERY = """
    RETURN QUERY WITH recent AS (
        SELECT at, network, country FROM accounts_signin
        WHERE {owner} AND disputed_at IS NULL AND closed_since IS NULL
            AND at > clock_timestamp() - days * interval '1 day'
        ORDER BY at DESC LIMIT looked_at
    )
    SELECT clock_timestamp(), {limited},
           EXISTS (SELECT 1 FROM accounts_signin WHERE {owner}),
           past.last_at, past.located, past.country_seen, past.network_seen,
           EXISTS (SELECT 1 FROM accounts_device WHERE {owner} AND browser = its_browser
                   AND system = its_system AND browser || system <> ''),
           past.elsewhere[1], past.elsewhere_at,
           device.id, device.first_at, device.first_of_account, {address}
    FROM (
        SELECT max(at) AS last_at,
               coalesce(bool_or(country <> ''), false) AS located,
               coalesce(bool_or(country = its_country AND country <> ''), false) AS country_seen,
               coalesce(bool_or(network = ANY(networks) AND network <> ''), false) AS network_seen,
               array_agg(country::text ORDER BY at DESC) FILTER (WHERE country NOT IN ('', its_country)) AS elsewhere,
               max(at) FILTER (WHERE country NOT IN ('', its_country)) AS elsewhere_at
        FROM recent
    ) AS past
    LEFT JOIN (SELECT * FROM accounts_device WHERE {owner} AND secret = ANY(secrets) AND secret <> '' LIMIT 1)
        AS device ON true
"""
LIMITED = """
           (SELECT count(*) FROM accounts_signin WHERE {owner} AND notice = 'limited' AND at > coalesce(
               (SELECT max(at) FROM accounts_signin WHERE {owner} AND notice IN ('queued', 'pending')),
               '2000-01-01'))"""
FORMER = import_module("accounts.migrations.0013_sign_in_history")
OURS, THEIRS = "user_id = its_user", "site_id = its_site AND user_key = its_user_key"
OF_THIS_SITE = QUERY.format(
    owner=OURS, limited=LIMITED.format(owner=OURS), address="address.email::text, address.verified"
)
OF_ANOTHER_SITE = QUERY.format(owner=THEIRS, limited="0::bigint", address="NULL::text, NULL::bool")
HISTORY = FORMER.FUNCTION.replace(FORMER.OF_THIS_SITE, OF_THIS_SITE + FORMER.ADDRESSES)
HISTORY = HISTORY.replace(FORMER.OF_ANOTHER_SITE, OF_ANOTHER_SITE)


def add_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(KEYS)
        schema_editor.execute(HISTORY.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


def restore_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION api_keys_with_site(text)")
        schema_editor.execute(FORMER.FUNCTION.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


class Migration(migrations.Migration):

    dependencies = [("accounts", "0014_people")]

    operations = [migrations.RunPython(add_functions, restore_functions)]
