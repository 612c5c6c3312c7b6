#!/bin/sh
# Backup and restore while the site and the workers keep running.   usage: database.sh dump|close|restore|open [FILE]
# Run it as a superuser of PostgreSQL (PGHOST, PGPORT, PGUSER); DATABASE and ROLE name the database and its owner.
#   dump FILE      copy the database as of one instant, without stopping anything
#   close          disconnect the role: sign-ins fail immediately, the API responds 503, workers wait
#   restore FILE   drop the database and create it again from the copy; only after close
#   open           let the role connect again; everything continues automatically
set -eu
umask 077  # a copy contains users' email addresses
database=${DATABASE:-notifier} role=${ROLE:-notifier}

sql() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname postgres --set "role=$role" --set "database=$database"
}

case ${1:-} in
dump)
    pg_dump --format=custom --file "$2.part" "$database"
    mv "$2.part" "$2"
    ;;
close)
    sql <<'SQL'
ALTER ROLE :"role" NOLOGIN;
SELECT count(pg_terminate_backend(pid)) AS ended FROM pg_stat_activity WHERE usename = :'role' \gset
SQL
    ;;
restore)
    [ -s "$2" ] && pg_restore --list "$2" >/dev/null
    sql <<'SQL'
DROP DATABASE IF EXISTS :"database";
CREATE DATABASE :"database" OWNER :"role" ENCODING 'UTF8' TEMPLATE template0;
SQL
    pg_restore --exit-on-error --no-acl --role "$role" --no-owner --dbname "$database" "$2"
    psql --no-psqlrc --quiet --dbname "$database" --command 'ANALYZE'
    ;;
open)
    echo 'ALTER ROLE :"role" LOGIN;' | sql
    ;;
*)
    sed -n 's/^# //p' "$0" >&2
    exit 2
    ;;
esac
