#!/bin/sh
# Report a sign-in to Notifier.   usage: NOTIFIER_URL=... NOTIFIER_API_KEY=... notify.sh < notice.json
# The file is the body of POST /api/jobs/signin-notification; with a jobId in it, a retry is safe.
# Exit code 0: Notifier has the notice. 1: it has not, or did not answer. 2: the key is unusable.
# The list of processes shows neither the key nor the notice: curl reads both from file descriptors.
# Needs curl 7.71 or newer.
set -eu
: "${NOTIFIER_URL:?}" "${NOTIFIER_API_KEY:?}"
key=$(printf %s "$NOTIFIER_API_KEY" | tr -d '\r\n') # a file with Windows line ends leaves a CR
case $key in
'' | *[!A-Za-z0-9_-]*)
    echo "NOTIFIER_API_KEY must be a key like nk_..., of letters, digits, _ and -" >&2
    exit 2
    ;;
esac
answer=$(
    curl --config /dev/fd/3 --silent --show-error --max-time 5 --retry 5 --retry-all-errors --retry-max-time 60 \
        --header 'Content-Type: application/json' --data-binary @- --write-out '\n%{http_code}' \
        --url "$NOTIFIER_URL/api/jobs/signin-notification" 3<<CONFIG
header = "Authorization: Bearer $key"
CONFIG
) || { # no answer
    printf '%s\n' "$answer"
    exit 1
}
printf '%s\n' "$answer"
case $answer in
*'
202') exit 0 ;;
*'"urn:notifier:problem:duplicate-job"'*'
409') exit 0 ;; # an earlier attempt had arrived
*) exit 1 ;;
esac
