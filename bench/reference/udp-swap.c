/* Echoes every UDP datagram on a TUN by swapping addresses and ports in place: the least a read and
 * write loop can do, and so the most packets a second this TUN can carry.
 * usage: udp-swap NETNS NAME */
#define _GNU_SOURCE
#include <poll.h>

#include "tun.h"

static void swap(uint8_t* a, uint8_t* b, size_t size) {
  uint8_t kept[16];
  memcpy(kept, a, size);
  memcpy(a, b, size);
  memcpy(b, kept, size);
}

/* Turns a datagram around. Swapping changes no checksum, whether it is whole or left to the device. */
static int turn(uint8_t* packet, size_t size) {
  if (size >= 28 && packet[0] == 0x45 && packet[9] == IPPROTO_UDP) {
    swap(packet + 12, packet + 16, 4);
    swap(packet + 20, packet + 22, 2);
    return 1;
  }
  if (size >= 48 && packet[0] >> 4 == 6 && packet[6] == IPPROTO_UDP) {
    swap(packet + 8, packet + 24, 16);
    swap(packet + 40, packet + 42, 2);
    return 1;
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  static uint8_t frame[MAX_FRAME_BYTES];
  struct pollfd tun = {.fd = open_tun(argv[1], argv[2]), .events = POLLIN};
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(&tun, 1, -1) < 0) die("poll");
    for (;;) {
      const ssize_t size = read(tun.fd, frame, sizeof frame);
      if (size < 0) {
        if (errno == EAGAIN) break;
        if (errno != EIO) die("read");
        usleep(1000); /* The link is down. */
        break;
      }
      if (size > VNET_HEADER_BYTES && turn(frame + VNET_HEADER_BYTES, (size_t)size - VNET_HEADER_BYTES)) {
        if (write(tun.fd, frame, (size_t)size) < 0 && errno != EAGAIN) die("write");
      }
    }
  }
}
