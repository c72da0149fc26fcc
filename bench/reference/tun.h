/* Opening a TUN the way the stack does: with virtio headers and every offload there is. */
#ifndef TUNSTACK_BENCH_TUN_H
#define TUNSTACK_BENCH_TUN_H

#ifndef _GNU_SOURCE
#error "define _GNU_SOURCE first"
#endif
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "common.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

enum { VNET_HEADER_BYTES = 12, MAX_FRAME_BYTES = VNET_HEADER_BYTES + 65536 };

/* Opens TUN `name` in the network namespace that the file `netns` names, and leaves us in it. */
static int open_tun(const char* netns, const char* name) {
  const int ns = open(netns, O_RDONLY | O_CLOEXEC);
  if (ns < 0) die(netns);
  if (setns(ns, CLONE_NEWNET) < 0) die("setns");
  close(ns);
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd, TUNSETIFF, &request) < 0) die("TUNSETIFF");
  int header = VNET_HEADER_BYTES;
  if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) die("TUNSETVNETHDRSZ");
  const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) < 0 && ioctl(fd, TUNSETOFFLOAD, tcp) < 0) {
    die("TUNSETOFFLOAD");
  }
  set_nonblocking(fd);
  return fd;
}

#endif
