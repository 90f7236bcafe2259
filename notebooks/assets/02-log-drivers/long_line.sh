# A container writes one line of 12,000 characters to the GELF collector: sh long_line.sh LINE PROTOCOL [COMPRESSION]
# LINE is `random`, characters in no order, or `alike`, one digit all along.
line=$1
options="--log-opt gelf-address=$2://127.0.0.1:12201"
[ -z "$3" ] || options="$options --log-opt gelf-compression-type=$3"
name=$(echo "$@" | tr ' ' -)

mkdir -p /tmp/long
[ -s /tmp/long/random ] || { head -c 9000 /dev/urandom | base64 --wrap 0 && echo; } >/tmp/long/random
[ -s /tmp/long/alike ] || printf '%012000d\n' 0 >/tmp/long/alike
docker run --name "$name" --log-driver gelf $options --volume /tmp/long:/long:ro lab/toolbox \
    cat "/long/$line" >/dev/null
