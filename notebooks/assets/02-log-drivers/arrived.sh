# Which numbered lines of a container a collector has, as ranges: sh arrived.sh NAME
grep -h -e "$1\"" -e "$1\[" /var/log/syslog /var/log/receivers/*.jsonl | grep -o '[0-9]* 00000000' | sort -n -u | awk '
    NR == 1 { first = $1 } NR > 1 && $1 != last + 1 { print first "-" last; first = $1 } { last = $1 }
    END { if (NR) print first "-" last }'
