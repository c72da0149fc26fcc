/* Joins two TUNs, frame by frame: what a network without any stack in the middle carries.
 * usage: tun-relay NETNS-A NAME-A NETNS-B NAME-B */
#define _GNU_SOURCE
#include <poll.h>

#include "tun.h"

/* Most frames taken from one side before the other gets its turn. */
enum { BURST = 64 };

static unsigned long long dropped;

/* Moves up to a burst from one TUN to the other. */
static void move(int from, int to, uint8_t* frame) {
  for (int i = 0; i < BURST; i++) {
    const ssize_t size = read(from, frame, MAX_FRAME_BYTES);
    if (size < 0) {
      if (errno == EAGAIN) return;
      if (errno == EIO) return; /* The link is down. */
      die("read");
    }
    if (write(to, frame, (size_t)size) < 0) dropped++;
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  static uint8_t frame[MAX_FRAME_BYTES];
  struct pollfd tuns[2];
  tuns[0] = (struct pollfd){.fd = open_tun(argv[1], argv[2]), .events = POLLIN};
  tuns[1] = (struct pollfd){.fd = open_tun(argv[3], argv[4]), .events = POLLIN};
  puts("ready");
  fflush(stdout);
  for (;;) {
    if (poll(tuns, 2, -1) < 0) die("poll");
    if (tuns[0].revents & (POLLERR | POLLNVAL) || tuns[1].revents & (POLLERR | POLLNVAL)) usleep(1000);
    if (tuns[0].revents & POLLIN) move(tuns[0].fd, tuns[1].fd, frame);
    if (tuns[1].revents & POLLIN) move(tuns[1].fd, tuns[0].fd, frame);
  }
}
