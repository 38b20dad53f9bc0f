#!/bin/sh
# What tests/selinux.rs lets the virtual machine do, as an administrator's shell: install, log in, purge. It only shows what
# happens; the test judges. A line that begins with `## ` begins a section.
cd "$(dirname "$(readlink -f "$0")")" || exit 1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
denials=/var/log/audit/audit.log
chmod 600 john

login() { ssh -i john -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR ec2-user@127.0.0.1 "$@" 2>&1; }
configure() { { cat config.toml && echo "$1"; } >/etc/iam-ssh/config.toml; }
forget() { find /var/cache/iam-ssh -type f -delete; }
# What a lookup learnt is written by a process of its own, which holds this lock until it is done.
kept() { flock -w 20 /var/cache/iam-ssh/lock true; }
# Waits for a line of the hook's, which is logged when the client has gone already.
recorded() {
    for _ in $(seq 200); do
        journalctl --sync
        journalctl --no-pager -q -o cat -t iam-ssh | grep "^$1" && return
        sleep 0.1
    done
}
install() { dpkg --force-unsafe-io -i iam-ssh.deb 2>&1 | grep '^iam-ssh: '; }

echo '## mode'
getenforce
echo '## sshd'
ps -o label= -C sshd
echo '## without dontaudit'
ls /var/lib/selinux/default/active/disable_dontaudit

# AWS, as far as this machine can see. Each address is there when the double says so.
ip link set lo up
ip address add 169.254.169.254/32 dev lo
for double in 169.254.169.254:80 '127.0.0.1:443 bucket=company-iam'; do
    mkfifo ready
    # shellcheck disable=SC2086 # an address and a setting
    ./aws-double $double forever >ready &
    read -r _ <ready
    rm ready
done
bash -c 'exec 3<>/dev/tcp/127.0.0.1/443
    printf "PUT /company-iam/users/john@example.org/authorized_keys HTTP/1.1\r\nHost: double\r\n" >&3
    printf "Connection: close\r\nContent-Length: %d\r\n\r\n" "$(stat -c %s document)" >&3
    cat document >&3; cat <&3 >/dev/null'

mv /usr/sbin/semodule /usr/sbin/semodule-away
echo '## installed without semodule'
install
configure ''
echo '## login without the module'
login true
mv /usr/sbin/semodule-away /usr/sbin/semodule

echo '## installed'
install
from=$(wc -l <$denials)
echo '## modules'
semodule -lfull | grep ' iam-ssh '
configure ''
forget
echo '## login'
login 'echo owner $SSH_KEY_OWNER'
kept
echo '## cache'
stat -c '%C %n' /var/cache/iam-ssh /var/cache/iam-ssh/*
echo '## records'
stat -c '%C %n' /run/iam-ssh /run/iam-ssh/* /var/lib/iam-ssh/audit-secret
recorded 'session closed owner=john@example.org '

setsebool iam_ssh_network off
forget
# Seen by the test, and not what it looks for.
until=$(wc -l <$denials)
echo '## login with the boolean off'
login true
after=$(wc -l <$denials)
configure 'lookup.network = false'
forget
echo '## login before a refresh'
login true
systemctl start iam-ssh-refresh.service
echo '## refreshed'
systemctl show -p Result --value iam-ssh-refresh.service
stat -c '%C %n' /var/cache/iam-ssh/state
echo '## login from the cache'
login 'echo owner $SSH_KEY_OWNER'
echo '## wired again'
iam-ssh wire 2>&1

echo '## purge'
dpkg --purge iam-ssh 2>&1 | grep '^iam-ssh: '
echo '## modules after purge'
semodule -lfull | grep ' iam-ssh '
echo '## left after purge'
find /var/lib/iam-ssh /var/cache/iam-ssh /run/iam-ssh 2>/dev/null
echo '## lookups'
journalctl --sync
journalctl --no-pager -q -o cat -t iam-ssh
echo '## lost'
auditctl -s | grep '^lost '
echo '## all denials'
grep -c 'avc: *denied' $denials
echo '## denied to what tries without the module'
sed -n "${until},${after}p" $denials | grep 'avc: *denied'
echo '## denied'
{ sed -n "${from},${until}p" $denials; sed -n "${after},\$p" $denials; } | grep 'avc: *denied'
echo '## end'
