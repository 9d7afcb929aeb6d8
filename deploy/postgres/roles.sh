#!/bin/sh
# Runs once, when the data folder is new: each user of the server gets a role of its own, none of them a superuser.
set -eu

psql --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres \
    --set=tidings_password="$TIDINGS_DATABASE_PASSWORD" --set=temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE tidings LOGIN PASSWORD :'tidings_password';
CREATE DATABASE tidings OWNER tidings;
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal_password';
SQL
