#!/bin/sh
# Takes the program out of the image that PALISADE_IMAGE names, and puts it where every step finds it.
set -eu

if [ -z "$PALISADE_IMAGE" ]; then
  echo "::error file=.github/workflows/policies.yml::PALISADE_IMAGE does not say where palisade comes from"
  exit 1
fi
container=$(docker create "$PALISADE_IMAGE")
sudo docker cp "$container:/usr/local/bin/palisade" /usr/local/bin/palisade
docker rm "$container"
