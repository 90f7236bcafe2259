# A container writes three lines to the GELF collector, the second one long; on their way the machine's firewall throws
# away one packet, the fourth, and counts those it lets through: sh lose.sh PROTOCOL
count="INPUT --protocol $1 --dport 12201"
rule="$count --match statistic --mode nth --every 1000 --packet 3 --jump DROP"
take_back() {
    iptables --delete $rule
    iptables --delete $count
}
seen() { iptables --list INPUT "$1" --verbose --numeric --exact | awk '{ print $1 }'; }
take_back 2>/dev/null # a run that was stopped may not have taken them back
trap take_back EXIT
trap 'exit 1' INT TERM

iptables --insert $count || exit 1
iptables --insert $rule || exit 1
docker run --name "lost-$1" --log-driver gelf --log-opt "gelf-address=$1://127.0.0.1:12201" \
    --volume /tmp/long:/long:ro lab/toolbox \
    sh -c "echo first over $1; cat /long/random; echo last over $1" >/dev/null
echo "the container and docker run ended with exit code $?"
timeout 30 sh -c 'until grep -q "last over $0" /var/log/receivers/gelf.jsonl; do sleep 0.1; done' "$1"
echo "packets thrown away: $(seen 1)"
echo "packets let through: $(seen 2)"
