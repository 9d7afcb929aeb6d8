#!/bin/sh
# Creates and upgrades Temporal's two databases. Each step does nothing where it has been done (`setup-schema` leaves a
# schema that is newer than 0.0 alone), so the job runs at every start. The password comes as SQL_PASSWORD.
set -eu

prepare() {
    database=$1
    schema=$2
    set -- --plugin postgres12 --ep "$POSTGRES_HOST" -p 5432 -u "$POSTGRES_USER" --db "$database"
    temporal-sql-tool "$@" create
    temporal-sql-tool "$@" setup-schema -v 0.0
    temporal-sql-tool "$@" update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
