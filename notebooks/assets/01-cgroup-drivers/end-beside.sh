# Ends the second engine and its container.
docker --host unix:///run/beside.sock rm --force watched
daemon=$(cat /run/beside.pid)
kill "$daemon"
tail --pid="$daemon" --sleep-interval=0.05 --follow /dev/null
