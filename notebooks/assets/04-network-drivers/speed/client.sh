# In a container, by bash: one connection, TRIPS round trips of one line; then MEGABYTES from the port that pours.
# Prints the microseconds of a round trip, and the megabytes in a second.
host=$1 echo=$2 pour=$3 trips=$4 megabytes=$5
exec 3<>"/dev/tcp/$host/$echo" || exit
start=${EPOCHREALTIME/./}
for ((trip = 0; trip < trips; trip++)); do
    echo x >&3
    read -r -u 3 || exit
done
middle=${EPOCHREALTIME/./}
dd bs=1M count="$megabytes" iflag=fullblock <"/dev/tcp/$host/$pour" of=/dev/null 2>/dev/null
end=${EPOCHREALTIME/./}
echo "$(((middle - start) / trips)) $((megabytes * 1000000 / (end - middle)))"
