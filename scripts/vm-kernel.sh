#!/bin/sh
# Fetches Debian's small kernel for the virtual machine of test/rootless and unpacks it to build-vm/. It is not installed,
# so no boot loader hears of it, and no right is needed.
set -eu
cd "$(dirname "$0")/.."
ls build-vm/boot/vmlinuz-* >/dev/null 2>&1 && exit 0
if [ "$(dpkg --print-architecture)" != amd64 ]; then
  echo 'the virtual machine has an amd64 kernel only'
  exit 0
fi

newest() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: *\(linux-image-.*\)/\1/p'; }
package=$(newest)
if [ -z "$package" ]; then
  apt-get -qq update
  package=$(newest)
fi
rm -rf build-vm.new
mkdir build-vm.new
cd build-vm.new
apt-get -qq download "$package" || {
  # What the lists name may have been replaced.
  apt-get -qq update
  apt-get -qq download "$package"
}
dpkg-deb --fsys-tarfile ./*.deb | tar -x ./boot ./lib/modules
rm ./*.deb
cd ..
mv build-vm.new build-vm
