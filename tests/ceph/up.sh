#!/bin/sh
# Serve S3 from a one-node Ceph on loopback until it is killed, with all its process group.
#
#   tests/ceph/up.sh ROOT DATA PORT ACCESS_KEY SECRET_KEY
#
# ROOT is what fetch.sh unpacked; DATA a new folder; the monitor and the object daemon take free
# ports. Objects live in memory. Runs the gateway in the foreground: when it ends, so does this.
set -eu
root=$1 data=$2 port=$3 access_key=$4 secret_key=$5
lib=$root/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH="$lib:$lib/ceph:$root/lib/x86_64-linux-gnu"
export PATH="$root/usr/bin:$PATH" CEPH_CONF="$data/ceph.conf"
mkdir -p "$data/mon/a" "$data/osd/0" "$data/rgw" "$data/run"
fsid=$(cat /proc/sys/kernel/random/uuid)
osd_uuid=$(cat /proc/sys/kernel/random/uuid)
mon_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

cat >"$CEPH_CONF" <<CONF
[global]
fsid = $fsid
mon_host = v1:127.0.0.1:$mon_port
mon_initial_members = a
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_msgr2 = false
keyring = $data/keyring
# Everything is on loopback and gone in a minute: no authentication inside.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
# One copy of everything, one placement group a pool.
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 1
osd_pool_default_pgp_num = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
# The packages are unpacked, not installed.
plugin_dir = $lib/ceph
erasure_code_dir = $lib/ceph/erasure-code
osd_class_dir = $lib/rados-classes
osd_class_load_list = *
osd_class_default_list = *
crypto_plugin = crypto_openssl
mon_data = $data/mon/\$id
osd_data = $data/osd/\$id
run_dir = $data/run
admin_socket = $data/run/\$name.asok
log_file =
log_to_stderr = false
err_to_stderr = true
mon_cluster_log_to_file = false
[osd]
osd_objectstore = memstore
# The daemon would place itself, before it has learnt the cluster's id, and then give up.
osd_crush_update_on_start = false
osd_class_update_on_start = false
memstore_device_bytes = 4294967296
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:$port
rgw_data = $data/rgw
rgw_enable_usage_log = false
rgw_enable_gc_threads = false
rgw_enable_quota_threads = false
rgw_enable_lc_threads = false
rgw_run_sync_thread = false
CONF

: >"$data/keyring"
ceph-authtool --create-keyring "$data/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
ceph-authtool "$data/keyring" --gen-key -n client.admin \
  --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
monmaptool --create --clobber --addv a "[v1:127.0.0.1:$mon_port]" --fsid "$fsid" "$data/monmap" >/dev/null
ceph-mon -i a --mkfs --monmap "$data/monmap" --keyring "$data/keyring"
ceph-mon -i a -f &

# The command needs the Python modules of its packages, and only it.
ask() {
  PYTHONPATH="$root/usr/lib/python3/dist-packages" ceph --connect-timeout 20 "$@"
}
ask osd new "$osd_uuid"
ask osd crush add osd.0 1 root=default host=a
ceph-osd -i 0 --mkfs --osd-uuid "$osd_uuid"
ceph-osd -i 0 -f &
osd=$!
until ask osd stat | grep -q '1 up'; do
  kill -0 "$osd" 2>/dev/null || { ceph-osd -i 0 -f & osd=$!; }
  sleep 0.2
done

radosgw-admin user create --uid=test --display-name=test \
  --access-key="$access_key" --secret-key="$secret_key" >/dev/null
exec radosgw -n client.rgw.a -f
