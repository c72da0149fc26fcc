/* Names for the benchmark of gateways.
 * usage: dns serve ADDRESS               answers every question with one address
 *        dns ask ADDRESS SECONDS COUNT   COUNT questions at once, each from a socket of its own, as resolvers do
 *                                        {"count", "lost", "seconds"} */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/epoll.h>

#include "common.h"

enum { PORT_DNS = 53, MESSAGE = 512, EVENTS = 64, LOST_MS = 1000, MAX_COUNT = 1024 };

/* "a.test", type A, class IN, behind a header that asks for recursion. */
static const uint8_t question[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1};
/* A pointer to the name, type A, class IN, a TTL of 0, 192.0.2.7. */
static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 7};

static void serve(const char* address) {
  struct sockaddr_storage place;
  const socklen_t size = make_address(address, PORT_DNS, &place);
  const int fd = socket(place.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&place, size) < 0) die("bind");
  puts("ready");
  fflush(stdout);
  for (;;) {
    uint8_t message[MESSAGE + sizeof record];
    struct sockaddr_storage from;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd, message, MESSAGE, 0, (struct sockaddr*)&from, &length);
    if (got < (ssize_t)sizeof question) continue;
    message[2] |= 0x80; /* an answer */
    message[3] |= 0x80;
    message[7] = 1;
    /* What follows the question, EDNS for instance, is left out. */
    memset(message + 8, 0, 4);
    memcpy(message + sizeof question, record, sizeof record);
    sendto(fd, message, sizeof question + sizeof record, 0, (struct sockaddr*)&from, length);
  }
}

typedef struct {
  int fd;
  uint16_t id;
  uint64_t asked;
} Query;

static void ask_next(Query* query, int epoll, const struct sockaddr_storage* server, socklen_t size) {
  static uint16_t next = 1;
  if (query->fd >= 0) close(query->fd);
  query->fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (query->fd < 0 || connect(query->fd, (const struct sockaddr*)server, size) < 0) die("connect");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = query};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, query->fd, &event) < 0) die("epoll_ctl");
  uint8_t message[sizeof question];
  memcpy(message, question, sizeof question);
  query->id = next++;
  query->asked = now_ns();
  memcpy(message, &query->id, sizeof query->id);
  if (send(query->fd, message, sizeof message, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED) die("send");
}

static void ask(const char* address, double seconds, int count) {
  static Query queries[MAX_COUNT];
  struct sockaddr_storage server;
  const socklen_t size = make_address(address, PORT_DNS, &server);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (count > MAX_COUNT) count = MAX_COUNT;
  uint64_t answered = 0, lost = 0;
  const uint64_t start = now_ns();
  const uint64_t end = start + (uint64_t)(seconds * 1e9);
  for (int i = 0; i < count; i++) {
    queries[i].fd = -1;
    ask_next(&queries[i], epoll, &server, size);
  }
  while (now_ns() < end) {
    struct epoll_event events[EVENTS];
    const int ready = epoll_wait(epoll, events, EVENTS, 100);
    for (int i = 0; i < ready; i++) {
      Query* query = events[i].data.ptr;
      uint8_t message[MESSAGE];
      const ssize_t got = recv(query->fd, message, sizeof message, 0);
      if (got >= 12 && memcmp(message, &query->id, sizeof query->id) == 0) answered++;
      else lost++;
      ask_next(query, epoll, &server, size);
    }
    const uint64_t now = now_ns();
    for (int i = 0; ready < EVENTS && i < count; i++) {
      if (now < queries[i].asked + (uint64_t)LOST_MS * 1000000u) continue;
      lost++;
      ask_next(&queries[i], epoll, &server, size);
    }
  }
  printf("{\"count\": %llu, \"lost\": %llu, \"seconds\": %f}\n", (unsigned long long)answered,
         (unsigned long long)lost, (double)(now_ns() - start) / 1e9);
}

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
  if (argc == 5 && strcmp(argv[1], "ask") == 0) {
    ask(argv[2], atof(argv[3]), atoi(argv[4]));
    return 0;
  }
  fprintf(stderr, "usage: dns serve ADDRESS | dns ask ADDRESS SECONDS COUNT\n");
  return 2;
}
