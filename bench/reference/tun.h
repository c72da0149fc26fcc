/* Opening a TUN: plain, or the way the stack does, with virtio headers and every offload there is. */
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
static inline int attach_tun(const char* netns, const char* name, short flags) {
  const int ns = open(netns, O_RDONLY | O_CLOEXEC);
  if (ns < 0) die(netns);
  if (setns(ns, CLONE_NEWNET) < 0) die("setns");
  close(ns);
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) die("/dev/net/tun");
  struct ifreq request;
  memset(&request, 0, sizeof request);
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | flags);
  if (ioctl(fd, TUNSETIFF, &request) < 0) die("TUNSETIFF");
  set_nonblocking(fd);
  return fd;
}

/* One that carries plain packets. */
static inline int open_plain_tun(const char* netns, const char* name) { return attach_tun(netns, name, 0); }

/* One that carries super-packets, each behind a virtio header. */
static inline int open_tun(const char* netns, const char* name) {
  const int fd = attach_tun(netns, name, IFF_VNET_HDR);
  int header = VNET_HEADER_BYTES;
  if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) die("TUNSETVNETHDRSZ");
  const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) < 0 && ioctl(fd, TUNSETOFFLOAD, tcp) < 0) {
    die("TUNSETOFFLOAD");
  }
  return fd;
}

#endif
