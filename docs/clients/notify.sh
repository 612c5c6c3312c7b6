#!/bin/sh
# Reports a sign-in to Notifier.   usage: NOTIFIER_URL=... NOTIFIER_API_KEY=... notify.sh < notice.json
# The file is the body of POST /api/jobs/signin-notification; with a jobId in it, a retry is safe.
# Exit code 0: Notifier has the notice. The key is read from a file descriptor: no list of processes shows it.
set -eu
body=$(cat)
answer=$(printf 'header = "Authorization: Bearer %s"\n' "$NOTIFIER_API_KEY" |
    curl --config - --silent --show-error --max-time 5 --retry 5 --retry-connrefused --retry-max-time 60 \
        --header 'Content-Type: application/json' --data-binary "$body" --write-out '\n%{http_code}' \
        "$NOTIFIER_URL/api/jobs/signin-notification")
printf '%s\n' "$answer"
case $answer in
*202 | *409) exit 0 ;;
*) exit 1 ;;
esac
