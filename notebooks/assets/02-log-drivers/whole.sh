# Of containers that wrote a long line: how many lines the GELF collector has and how many of these are the long line,
# whole; and the same of what `docker logs` shows: sh whole.sh NAME…
for name in "$@"; do
    line=/tmp/long/random
    [ "${name%%-*}" != alike ] || line=/tmp/long/alike
    grep -F "\"$name\"" /var/log/receivers/gelf.jsonl >/tmp/long/arrived
    docker logs "$name" >/tmp/long/shown
    echo "$name $(wc -l </tmp/long/arrived) $(grep -c -F -f $line /tmp/long/arrived)" \
        "$(wc -l </tmp/long/shown) $(grep -c -x -F -f $line /tmp/long/shown)"
done
