# Ends the second engine and its container. Asked politely, it would look only once a second whether its containerd has
# ended.
docker --host unix:///run/beside.sock rm --force watched
daemon=$(cat /run/beside.pid)
kill -KILL "$daemon"
tail --pid="$daemon" --sleep-interval=0.05 --follow /dev/null
