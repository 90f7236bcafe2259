#!/bin/sh
# Rounds of host, bridge, overlay, one after the other, so that whatever else the computer does hits all three alike.
# Arguments: how many rounds, and the address of the machine that the servers are on.
client=$(cat "$(dirname "$0")/client.sh")

measure() {
    echo "$1 $(docker exec "$1-b" bash -c "$client" client "$2" "$3" "$4" 10 100)"
}

# The servers have just begun: a small measurement that works says that this one listens.
wait_for() {
    until docker exec "$1-b" timeout 9 bash -c "$client" client "$2" "$3" "$4" 1 1 >/dev/null 2>&1; do sleep 0.1; done
}

wait_for host "$2" 7100 7101
wait_for bridge "$2" 7000 7001
wait_for overlay server-overlay 7000 7001
round=0
while [ $round -lt "$1" ]; do
    measure host "$2" 7100 7101
    measure bridge "$2" 7000 7001
    measure overlay server-overlay 7000 7001
    round=$((round + 1))
done
