# last-words.sh COMMAND: runs it in a child, says how the child ended, and what the kernel counts for this cgroup.
sh -c "$1"
echo "the child ended with $?"
# Version 2 has the counter in memory.events, version 1 in memory.oom_control.
cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null | grep "^oom_kill "
exit 0
