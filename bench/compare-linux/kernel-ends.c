/* The kernel's ends of the comparison.
 * usage: kernel-ends sink ADDRESS PORT CONNECTIONS WARM-SECONDS SECONDS
 *          accepts that many connections, and counts what each brings in a time that begins so long after
 *          the last has come.
 *        kernel-ends send ADDRESS PORT CONGESTION-CONTROL
 *          sends until the sink ends, and looks at its TCP_INFO every 10 ms.
 * Each prints one line of JSON at its end. */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>

#include "../reference/common.h"

enum { MAX_CONNECTIONS = 16, CHUNK_BYTES = 1 << 18, MAX_SAMPLES = 1 << 16, SAMPLE_MS = 10, PATIENCE_S = 120 };

static uint8_t chunk[CHUNK_BYTES];

struct connection {
  int fd;
  uint64_t bytes;
  char peer[INET6_ADDRSTRLEN];
};

static int listen_at(const char* address, int port) {
  struct sockaddr_storage at;
  const socklen_t length = make_address(address, port, &at);
  const int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) die("socket");
  if (bind(fd, (struct sockaddr*)&at, length) < 0 || listen(fd, MAX_CONNECTIONS) < 0) die("listen");
  set_nonblocking(fd);
  return fd;
}

static void accept_one(int listener, struct connection* connection) {
  struct sockaddr_storage from;
  socklen_t length = sizeof from;
  memset(connection, 0, sizeof *connection);
  connection->fd = accept4(listener, (struct sockaddr*)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection->fd < 0) die("accept");
  const void* address = from.ss_family == AF_INET ? (void*)&((struct sockaddr_in*)&from)->sin_addr
                                                  : (void*)&((struct sockaddr_in6*)&from)->sin6_addr;
  inet_ntop(from.ss_family, address, connection->peer, sizeof connection->peer);
}

static uint64_t drain(int fd) {
  uint64_t total = 0;
  for (;;) {
    const ssize_t size = read(fd, chunk, sizeof chunk);
    if (size <= 0) return total;
    total += (uint64_t)size;
    if ((size_t)size < sizeof chunk) return total;
  }
}

static void run_sink(const char* address, int port, int wanted, double warm, double seconds) {
  struct connection connections[MAX_CONNECTIONS];
  struct pollfd polled[MAX_CONNECTIONS + 1];
  const uint64_t started = now_ns();
  uint64_t begin = UINT64_MAX, end = UINT64_MAX;
  int count = 0;
  polled[0] = (struct pollfd){.fd = listen_at(address, port), .events = POLLIN};
  puts("listening");
  fflush(stdout);
  for (;;) {
    const uint64_t now = now_ns();
    if (now >= end) break;
    if (count < wanted && now - started > PATIENCE_S * 1000000000ull) {
      fprintf(stderr, "%d of %d connections came\n", count, wanted);
      exit(1);
    }
    if (poll(polled, (nfds_t)count + 1, 5) < 0) die("poll");
    if (count < wanted && polled[0].revents & POLLIN) {
      accept_one(polled[0].fd, &connections[count++]);
      polled[count] = (struct pollfd){.fd = connections[count - 1].fd, .events = POLLIN};
      if (count == wanted) {
        begin = now_ns() + (uint64_t)(warm * 1e9);
        end = begin + (uint64_t)(seconds * 1e9);
      }
    }
    const int counts = now >= begin;
    for (int i = 0; i < count; i++) {
      if (polled[i + 1].revents == 0) continue;
      const uint64_t bytes = drain(polled[i + 1].fd);
      if (counts) connections[i].bytes += bytes;
    }
  }
  printf("{\"seconds\": %g, \"flows\": [", seconds);
  for (int i = 0; i < count; i++) {
    printf("%s{\"peer\": \"%s\", \"bytes\": %llu}", i > 0 ? ", " : "", connections[i].peer,
           (unsigned long long)connections[i].bytes);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connections[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(connections[i].fd);
  }
  puts("]}");
}

static int compare(const void* a, const void* b) {
  const uint32_t left = *(const uint32_t*)a, right = *(const uint32_t*)b;
  return left < right ? -1 : left > right;
}

static void run_sender(const char* address, int port, const char* control) {
  static uint32_t samples[MAX_SAMPLES];
  struct sockaddr_storage to;
  const socklen_t length = make_address(address, port, &to);
  const int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, (socklen_t)strlen(control)) < 0) die(control);
  if (connect(fd, (struct sockaddr*)&to, length) < 0) die("connect");
  set_nonblocking(fd);
  struct tcp_info info;
  memset(&info, 0, sizeof info);
  int count = 0;
  for (uint64_t next = now_ns();;) {
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    if (poll(&polled, 1, SAMPLE_MS) < 0) die("poll");
    if (polled.revents & (POLLERR | POLLHUP)) break;
    if (polled.revents & POLLOUT && write(fd, chunk, sizeof chunk) < 0 && errno != EAGAIN) break;
    if (now_ns() < next) continue;
    next += SAMPLE_MS * 1000000ull;
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) break;
    if (count < MAX_SAMPLES && info.tcpi_rtt > 0) samples[count++] = info.tcpi_rtt;
  }
  char name[16] = "";
  socklen_t size = sizeof name;
  getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size);
  qsort(samples, (size_t)count, sizeof samples[0], compare);
  printf("{\"control\": \"%s\", \"p50RttUs\": %u, \"p99RttUs\": %u, \"retransmissions\": %u}\n", name,
         count > 0 ? samples[count / 2] : 0, count > 0 ? samples[count * 99 / 100] : 0, info.tcpi_total_retrans);
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 7 && strcmp(argv[1], "sink") == 0) {
    const int wanted = atoi(argv[4]);
    if (wanted < 1 || wanted > MAX_CONNECTIONS) return 2;
    run_sink(argv[2], atoi(argv[3]), wanted, atof(argv[5]), atof(argv[6]));
    return 0;
  }
  if (argc == 5 && strcmp(argv[1], "send") == 0) {
    run_sender(argv[2], atoi(argv[3]), argv[4]);
    return 0;
  }
  return 2;
}
