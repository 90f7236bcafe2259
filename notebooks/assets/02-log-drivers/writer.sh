# In a container: writes $2 batches of $1 numbered lines of about 1000 bytes, with a short rest after each batch, and
# notes in $3 when it was how far: seconds since the machine started, lines. A file called wait beside $3 holds it up.
fill=$(printf '%0980d' 0)
while [ -e "${3%/*}/wait" ]; do sleep 0.05; done
line=0
batch=0
while [ $batch -lt "$2" ]; do
    last=$((line + $1))
    while [ $line -lt $last ]; do
        line=$((line + 1))
        echo "$line $fill"
    done
    echo "$(cut -d' ' -f1 /proc/uptime) $line" >>"$3"
    sleep 0.05
    batch=$((batch + 1))
done
