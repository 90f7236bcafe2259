#!/bin/sh
# In a container: ask every target by its address, by its name, and by the machine's address and the port asked for, all
# at once. Only the target's own name is a good answer: another server may be there.
# Arguments: who asks, and the machine's address; on standard input the lines of targets.sh.
ask() {
    said=$(timeout 8 wget -q -O - "http://$4/" 2>/dev/null)
    [ "$said" = "$2" ] && answer=yes || answer=no
    echo "$1 $2 $3 $answer"
}

while read -r target address port; do
    [ "$address" = - ] || ask "$1" "$target" address "$address:8080" &
    ask "$1" "$target" name "$target:8080" &
    ask "$1" "$target" port "$2:$port" &
done
wait
