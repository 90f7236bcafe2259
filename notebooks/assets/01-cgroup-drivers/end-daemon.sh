# Ends the engine of this machine the way `systemctl stop docker` does, with the signal TERM, and waits until it is gone.
daemon=$(pidof dockerd)
kill -TERM "$daemon"
tail --pid="$daemon" --sleep-interval=0.05 --follow /dev/null
read -r now _ </proc/uptime
echo "the daemon is gone at $now"
