#!/bin/sh
# Creates the topics that are missing: TOPICS, each with PARTITIONS partitions. Runs as often as one likes.
set -eu

for topic in $TOPICS; do
    /opt/kafka/bin/kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --if-not-exists \
        --topic "$topic" --partitions "$PARTITIONS" --replication-factor "$REPLICATION"
done
