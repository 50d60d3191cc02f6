#!/bin/sh
# Unpack Ceph's monitor, object daemon and S3 gateway from Debian packages, without installing them.
#
#   tests/ceph/fetch.sh [FOLDER]        FOLDER defaults to .ceph in the checkout
#
# Leaves FOLDER/root. Needs apt-get and dpkg, no rights; does nothing where FOLDER/root exists.
set -eu
folder=${1:-$(dirname "$0")/../../.ceph}
mkdir -p "$folder/debs/partial"
folder=$(cd "$folder" && pwd)
[ -d "$folder/root" ] && exit 0

# apt resolves what this machine lacks; the packages land in our folder, not in the system's cache.
apt-get --quiet=2 --yes --no-install-recommends --download-only \
  -o Debug::NoLocking=1 -o Dir::Cache::archives="$folder/debs" \
  install ceph-mon ceph-osd radosgw >/dev/null

rm -rf "$folder/unpacked"
for package in "$folder"/debs/*.deb; do
  dpkg -x "$package" "$folder/unpacked"
done
mv "$folder/unpacked" "$folder/root"   # last: root is whole or absent
