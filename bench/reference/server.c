/* The services of the benchmark on the kernel's sockets: one thread, epoll.
 * usage: server ADDRESS */
#define _GNU_SOURCE
#include <endian.h>
#include <signal.h>
#include <sys/epoll.h>

#include "common.h"

enum { EVENTS = 256, CHUNK = 256 * 1024, DATAGRAMS = 64, DATAGRAM_BYTES = 2048 };

typedef enum { LISTEN_ECHO, LISTEN_DISCARD, LISTEN_SOURCE, UDP_ECHO, ECHO, DISCARD, SOURCE } Kind;

/* One descriptor and what is known of it. */
typedef struct {
  int fd;
  Kind kind;
  uint64_t bytes; /* Discarded so far. */
} Item;

static int poller;
static uint8_t chunk[CHUNK];

static void watch(int fd, Kind kind, uint32_t events) {
  Item* item = calloc(1, sizeof *item);
  if (item == NULL) die("calloc");
  item->fd = fd;
  item->kind = kind;
  struct epoll_event event = {.events = events, .data.ptr = item};
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void finish(Item* item) {
  close(item->fd);
  free(item);
}

static int bound_socket(const char* address, int port, int type) {
  struct sockaddr_storage place;
  const socklen_t size = make_address(address, port, &place);
  const int fd = socket(place.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr*)&place, size) < 0) die("bind");
  return fd;
}

static void serve_tcp(const char* address, int port, Kind kind) {
  const int fd = bound_socket(address, port, SOCK_STREAM);
  if (listen(fd, 4096) < 0) die("listen");
  watch(fd, kind, EPOLLIN);
}

static void accept_all(const Item* listener) {
  for (;;) {
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    set_nodelay(fd);
    if (listener->kind == LISTEN_ECHO) watch(fd, ECHO, EPOLLIN);
    if (listener->kind == LISTEN_DISCARD) watch(fd, DISCARD, EPOLLIN);
    if (listener->kind == LISTEN_SOURCE) watch(fd, SOURCE, EPOLLIN | EPOLLOUT);
  }
}

static void echo(Item* item) {
  const ssize_t size = read(item->fd, chunk, 16384);
  if (size < 0 && errno == EAGAIN) return;
  /* Messages here are far smaller than the send buffer: one write takes them. */
  if (size <= 0 || write(item->fd, chunk, (size_t)size) != size) finish(item);
}

static void discard(Item* item) {
  const ssize_t size = read(item->fd, chunk, CHUNK);
  if (size > 0) {
    item->bytes += (uint64_t)size;
    return;
  }
  if (size < 0 && errno == EAGAIN) return;
  const uint64_t count = htobe64(item->bytes);
  if (size == 0 && write(item->fd, &count, sizeof count) < 0) perror("write");
  finish(item);
}

static void send_on(Item* item, uint32_t events) {
  if (events & EPOLLIN) {
    const ssize_t size = read(item->fd, chunk, 1);
    if (size == 0 || (size < 0 && errno != EAGAIN)) {
      finish(item);
      return;
    }
  }
  while (write(item->fd, chunk, CHUNK) > 0) continue;
  if (errno != EAGAIN) finish(item);
}

static void echo_datagrams(int fd) {
  static uint8_t bytes[DATAGRAMS][DATAGRAM_BYTES];
  static struct sockaddr_storage from[DATAGRAMS];
  static struct iovec vectors[DATAGRAMS];
  static struct mmsghdr messages[DATAGRAMS];
  for (int i = 0; i < DATAGRAMS; i++) {
    vectors[i] = (struct iovec){bytes[i], DATAGRAM_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                          .msg_namelen = sizeof from[i],
                                          .msg_iov = &vectors[i],
                                          .msg_iovlen = 1};
  }
  const int count = recvmmsg(fd, messages, DATAGRAMS, 0, NULL);
  for (int i = 0; i < count; i++) vectors[i].iov_len = messages[i].msg_len;
  if (count > 0) sendmmsg(fd, messages, (unsigned)count, 0);
}

static void handle(Item* item, uint32_t events) {
  switch (item->kind) {
    case LISTEN_ECHO:
    case LISTEN_DISCARD:
    case LISTEN_SOURCE: accept_all(item); break;
    case UDP_ECHO: echo_datagrams(item->fd); break;
    case ECHO: echo(item); break;
    case DISCARD: discard(item); break;
    case SOURCE: send_on(item, events); break;
  }
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0) die("epoll_create1");
  serve_tcp(argv[1], PORT_ECHO, LISTEN_ECHO);
  serve_tcp(argv[1], PORT_DISCARD, LISTEN_DISCARD);
  serve_tcp(argv[1], PORT_SOURCE, LISTEN_SOURCE);
  watch(bound_socket(argv[1], PORT_ECHO, SOCK_DGRAM), UDP_ECHO, EPOLLIN);
  puts("ready");
  fflush(stdout);
  struct epoll_event events[EVENTS];
  for (;;) {
    const int count = epoll_wait(poller, events, EVENTS, -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) handle(events[i].data.ptr, events[i].events);
  }
}
