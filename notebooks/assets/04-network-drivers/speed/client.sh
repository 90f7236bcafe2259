# In a container, by bash: one connection, BATCHES times a hundred round trips of one line; then MEGABYTES from the port
# that pours. Prints the microseconds of a round trip, in the quickest batch, and the megabytes in a second.
host=$1 echo=$2 pour=$3 batches=$4 megabytes=$5
exec 3<>"/dev/tcp/$host/$echo" || exit
least=
for ((batch = 0; batch < batches; batch++)); do
    start=${EPOCHREALTIME/./}
    for ((trip = 0; trip < 100; trip++)); do
        echo x >&3
        read -r -u 3 || exit
    done
    took=$((${EPOCHREALTIME/./} - start))
    [[ -n $least && $least -le $took ]] || least=$took
done
start=${EPOCHREALTIME/./}
dd bs=1M count="$megabytes" iflag=fullblock <"/dev/tcp/$host/$pour" of=/dev/null 2>/dev/null || exit
end=${EPOCHREALTIME/./}
echo "$((least / 100)) $((megabytes * 1000000 / (end - start)))"
