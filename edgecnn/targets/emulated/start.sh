#!/bin/sh
# Become an emulated board: the first process of namespaces of its own (mounts, processes, name),
# which end with it. Arguments: the board's root, a file for this process's number, QEMU, its
# magic number and mask for the kernel, and the size of the home folder in MB (0: no limit).
set -eu
root=$1 number=$2 qemu=$3 magic=$4 mask=$5 home=$6

# The first word is this shell's number as the host sees it: /proc is still the host's.
read -r first rest </proc/self/stat
echo "$first" >"$number.new"

hostname raspberrypi
formats=/proc/sys/fs/binfmt_misc
[ -e $formats/register ] || mount -t binfmt_misc binfmt_misc $formats
# A rule with F keeps the emulator open, so the root needs no copy of it; P keeps a program's own
# name. It stays in the kernel, as one from a package does.
if ! grep -qsx enabled "$formats/$qemu" || ! grep -q '^flags:.*F' "$formats/$qemu"; then
    rule=edgecnn-$qemu
    [ -e "$formats/$rule" ] || printf '%s' ":$rule:M::$magic:$mask:$(command -v "$qemu-static"):PF" \
        >$formats/register
fi

mount -t proc proc "$root/.proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
if [ "$home" != 0 ]; then
    mount -t tmpfs -o "size=${home}m,uid=1000,gid=1000,mode=755" tmpfs "$root/home/pi"
fi

mv "$number.new" "$number"
exec chroot "$root" /usr/sbin/sshd -D -e
