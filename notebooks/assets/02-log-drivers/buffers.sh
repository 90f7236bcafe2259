# What this machine's kernel keeps of a connection, at both its ends: sh buffers.sh small|before
# Where they are small, a collector's stall is felt before megabytes are written.
kept=/run/buffers
cd /proc/sys/net/ipv4
case $1 in
small)
    [ -s $kept ] || cat tcp_wmem tcp_rmem >$kept # a run that was stopped has not put them back
    for end in tcp_wmem tcp_rmem; do echo 4096 16384 131072 >$end; done
    ;;
before)
    { read -r sent && read -r received; } <$kept
    echo "$sent" >tcp_wmem
    echo "$received" >tcp_rmem
    ;;
esac
