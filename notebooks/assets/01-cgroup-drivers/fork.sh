# Starts one sleeping process after the other, in a child, so that this shell can tell how it ended.
(
    for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
        sleep 60 &
        echo "started $number"
    done
)
# What the kernel counted for this cgroup, with version 1 and with version 2. `read` needs no new process.
cd /sys/fs/cgroup/pids 2>/dev/null || cd /sys/fs/cgroup
while read -r line; do echo "pids.events: $line"; done <pids.events
