# MB are millions of bytes here, as `docker system df` has them.
set -e

# 1. An image with a file of 10 MB.
docker build --quiet --tag steps:one assets/03-storage-drivers/exercise

# 2. A second name for it.
docker tag steps:one steps:two

# 3. A container with a volume: it writes 3 MB into a new file, and 5 MB into the volume.
docker run --detach --name steps-a --volume steps:/cache steps:one
docker exec steps-a sh -c 'head -c 3000000 /dev/zero >/new; head -c 5000000 /dev/zero >/cache/new'

# 4. A second container: it changes one byte of the image's file.
docker run --detach --name steps-b steps:two
docker exec steps-b sh -c 'printf x | dd of=/data/file conv=notrunc'

# 5. The first container is stopped.
docker stop --timeout 0 steps-a
