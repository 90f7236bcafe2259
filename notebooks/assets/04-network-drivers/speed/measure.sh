#!/bin/sh
# Rounds of host, bridge, overlay, one after the other, so that whatever else the computer does hits all three alike.
# Arguments: how many rounds, and the address of the machine that the servers are on.
client=$(cat "$(dirname "$0")/client.sh")

measure() {
    echo "$1 $(docker exec "$1-b" bash -c "$client" client "$2" "$3" "$4" 1000 100)"
}

docker exec overlay-b timeout 10 sh -c 'until nc -w 1 server-overlay 7000 </dev/null 2>/dev/null; do sleep 0.05; done'
round=0
while [ $round -lt "$1" ]; do
    measure host "$2" 7100 7101
    measure bridge "$2" 7000 7001
    measure overlay server-overlay 7000 7001
    round=$((round + 1))
done
