# MB are millions of bytes here, as `docker system df` has them. The argument chooses the numbers.
set -e
case ${1:-0} in
0) new=3 cache=5 stopped=steps-a ;;
1) new=2 cache=7 stopped=steps-b ;;
2) new=6 cache=1 stopped=steps-a ;;
esac

# 1. An image with a file of 10 MB.
docker build --quiet --tag steps:one assets/03-storage-drivers/exercise

# 2. A second name for it.
docker tag steps:one steps:two

# 3. A container with a volume: it writes `new` MB into a new file, and `cache` MB into the volume.
docker run --detach --name steps-a --volume steps:/cache steps:one
docker exec steps-a sh -c "head -c ${new}000000 /dev/zero >/new; head -c ${cache}000000 /dev/zero >/cache/new"

# 4. A second container: it changes one byte of the image's file.
docker run --detach --name steps-b steps:two
docker exec steps-b sh -c 'printf x | dd of=/data/file conv=notrunc'

# 5. One of the two is stopped.
docker stop --timeout 0 "$stopped"
