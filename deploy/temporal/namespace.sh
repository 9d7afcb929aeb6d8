#!/bin/sh
# Creates the namespace and its search attributes (SEARCH_ATTRIBUTES: Name=Type ...) where they are missing, and ends
# when the server knows them all: a workflow that starts with an unknown one would be refused.
set -eu

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"

known() {
    temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" 2>/dev/null | grep -qw "$1"
}

for attribute in $SEARCH_ATTRIBUTES; do
    name=${attribute%%=*}
    tries=0
    until known "$name"; do
        # A new namespace takes some seconds to be seen everywhere; until then this fails and is tried again.
        temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
            --name "$name" --type "${attribute#*=}" || true
        tries=$((tries + 1))
        [ "$tries" -lt 30 ] || { echo "search attribute $name could not be created" >&2; exit 1; }
        sleep 1
    done
done
