#!/bin/sh
# Backup and restore while the site and the workers go on running.   usage: database.sh dump|close|restore|open [FILE]
# Who asks is a superuser (PGHOST, PGPORT, PGUSER); DATABASE and ROLE say whose database it is.
#   dump FILE      a copy of the database as it is at one instant; nobody is stopped
#   close          the role is shut out: sign-ins wait for nothing and fail, the API answers 503, workers wait
#   restore FILE   drops the database and makes it again from the copy; after close only
#   open           the role may come back; everything goes on by itself
set -eu
umask 077  # a copy holds addresses of people
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
CREATE DATABASE :"database" OWNER :"role";
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
