# until-noted.sh NAME TIMES: waits until a container has noted the time so many times more.
goal=$(($(wc -l <"/tmp/ticks/$1") + $2))
tries=500
until [ "$(wc -l <"/tmp/ticks/$1")" -ge "$goal" ]; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || exit 1
    sleep 0.1
done
