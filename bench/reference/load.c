/* The load generator of the benchmark. Prints one line of JSON.
 * usage: load MODE ADDRESS SECONDS COUNT [SIZE [SOURCE-ADDRESS]]
 *   udp   COUNT datagrams of SIZE bytes in flight, echoed          {"count", "lost"}
 *   msg   COUNT connections, each with one message of SIZE bytes   {"count"}
 *   rtt   one connection, one message of SIZE bytes                {"count", "p10Us" … "p99Us", "histogram"}
 *   in    COUNT connections send as fast as they can               {"bytes"}  as counted by the server
 *   out   COUNT connections receive as fast as they can            {"bytes"}
 *   conn  COUNT at once connect, echo a byte, close                {"count"}
 *   hold  COUNT connections are opened and held until standard input ends      {"count"}
 *         each byte of standard input has a byte echoed on every one       {"answered"} */
#define _GNU_SOURCE
#include <endian.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "common.h"

enum { CHUNK = 256 * 1024, BATCH = 64, EVENTS = 256, MAX_SAMPLES = 4 << 20, HISTOGRAM_US = 200, ANSWER_MS = 10000 };

typedef struct {
  const char* address;
  double seconds;
  int count;
  int size;
  const char* source; /* Address to connect from; NULL for whichever the kernel takes. */
} Job;

static uint8_t chunk[CHUNK];

/* The port is chosen when the peer is known: only then may several peers share one. */
static void bind_source(int fd, const char* source) {
  struct sockaddr_storage place;
  const socklen_t size = make_address(source, 0, &place);
  const int on = 1;
  if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) < 0) die("bind without port");
  if (bind(fd, (struct sockaddr*)&place, size) < 0) die("bind");
}

static int open_socket(const Job* job, int port, int type, int nonblocking) {
  struct sockaddr_storage place;
  const socklen_t size = make_address(job->address, port, &place);
  const int fd = socket(place.ss_family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (nonblocking) set_nonblocking(fd);
  if (type == SOCK_STREAM) set_nodelay(fd);
  if (job->source != NULL) bind_source(fd, job->source);
  if (connect(fd, (struct sockaddr*)&place, size) < 0 && errno != EINPROGRESS) die("connect");
  return fd;
}

static int connected(const Job* job, int port) {
  const int fd = open_socket(job, port, SOCK_STREAM, 0);
  set_nonblocking(fd);
  return fd;
}

/* Congestion control of a socket, for the report: a kernel's default is not always the same. */
static void print_congestion(int fd) {
  char name[16] = "";
  socklen_t size = sizeof name;
  getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size);
  printf(", \"congestion\": \"%.*s\"", (int)size, name);
}

static uint64_t deadline_of(const Job* job, uint64_t start) { return start + (uint64_t)(job->seconds * 1e9); }

static double seconds_since(uint64_t start) { return (double)(now_ns() - start) / 1e9; }

/* ── udp ── */

typedef struct {
  int fd;
  int in_flight;
  uint32_t next;
  uint64_t count, lost;
} UdpFlow;

static void send_datagrams(UdpFlow* flow, const Job* job) {
  static uint8_t bytes[BATCH][2048];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  int wanted = job->count - flow->in_flight;
  if (wanted > BATCH) wanted = BATCH;
  for (int i = 0; i < wanted; i++) {
    const uint32_t number = flow->next + (uint32_t)i;
    memcpy(bytes[i], &number, sizeof number);
    vectors[i] = (struct iovec){bytes[i], (size_t)job->size};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  const int sent = wanted > 0 ? sendmmsg(flow->fd, messages, (unsigned)wanted, 0) : 0;
  if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED) die("sendmmsg");
  if (sent > 0) flow->in_flight += sent, flow->next += (uint32_t)sent;
}

static int receive_datagrams(UdpFlow* flow) {
  static uint8_t bytes[BATCH][2048];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){bytes[i], sizeof bytes[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i], .msg_iovlen = 1};
  }
  const int got = recvmmsg(flow->fd, messages, BATCH, MSG_DONTWAIT, NULL);
  return got < 0 ? 0 : got;
}

static void run_udp(const Job* job) {
  UdpFlow flow = {.fd = open_socket(job, PORT_ECHO, SOCK_DGRAM, 1)};
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  while (now_ns() < deadline) {
    send_datagrams(&flow, job);
    const int got = receive_datagrams(&flow);
    flow.count += (uint64_t)got;
    flow.in_flight -= got < flow.in_flight ? got : flow.in_flight;
    if (got > 0) continue;
    struct pollfd waiting = {.fd = flow.fd, .events = POLLIN};
    if (poll(&waiting, 1, 100) > 0) continue;
    flow.lost += (uint64_t)flow.in_flight; /* Nothing for 100 ms: they are gone. */
    flow.in_flight = 0;
  }
  printf("{\"count\": %llu, \"lost\": %llu, \"seconds\": %.6f}\n", (unsigned long long)flow.count,
         (unsigned long long)flow.lost, seconds_since(start));
}

/* ── msg, rtt ── */

static void send_message(int fd, int size) {
  if (write(fd, chunk, (size_t)size) != size) die("write");
}

static void run_messages(const Job* job) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  int* missing = calloc((size_t)job->count, sizeof *missing); /* Bytes of each answer still to come. */
  int* fds = calloc((size_t)job->count, sizeof *fds);
  if (missing == NULL || fds == NULL) die("calloc");
  for (int i = 0; i < job->count; i++) {
    fds[i] = connected(job, PORT_ECHO);
    missing[i] = job->size;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event) < 0) die("epoll_ctl");
  }
  uint64_t count = 0;
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  for (int i = 0; i < job->count; i++) send_message(fds[i], job->size);
  struct epoll_event events[EVENTS];
  while (now_ns() < deadline) {
    const int ready = epoll_wait(poller, events, EVENTS, 100);
    for (int e = 0; e < ready; e++) {
      const uint32_t i = events[e].data.u32;
      const ssize_t got = read(fds[i], chunk, (size_t)missing[i]);
      if (got <= 0) die("read");
      missing[i] -= (int)got;
      if (missing[i] > 0) continue;
      count++;
      missing[i] = job->size;
      send_message(fds[i], job->size);
    }
  }
  printf("{\"count\": %llu, \"seconds\": %.6f}\n", (unsigned long long)count, seconds_since(start));
}

static int by_value(const void* a, const void* b) {
  const uint32_t x = *(const uint32_t*)a, y = *(const uint32_t*)b;
  return x < y ? -1 : x > y;
}

/* Samples by whole microseconds; the last entry holds all longer ones. Ends with the last that is not 0. */
static void print_histogram(const uint32_t* samples, uint32_t count) {
  static uint32_t histogram[HISTOGRAM_US];
  int used = 0;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t us = samples[i] / 1000;
    const int bin = us < HISTOGRAM_US ? (int)us : HISTOGRAM_US - 1;
    histogram[bin]++;
    if (bin >= used) used = bin + 1;
  }
  printf("\"histogram\": [");
  for (int i = 0; i < used; i++) printf("%s%u", i > 0 ? ", " : "", histogram[i]);
  printf("]");
}

static double percentile_us(const uint32_t* samples, uint32_t count, unsigned percent) {
  return samples[(uint64_t)count * percent / 100] / 1e3;
}

static void run_round_trips(const Job* job) {
  const int fd = open_socket(job, PORT_ECHO, SOCK_STREAM, 0);
  uint32_t* samples = malloc(sizeof(uint32_t) * MAX_SAMPLES);
  if (samples == NULL) die("malloc");
  uint32_t count = 0;
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  uint64_t sent = start;
  while (sent < deadline && count < MAX_SAMPLES) {
    send_message(fd, job->size);
    if (recv(fd, chunk, (size_t)job->size, MSG_WAITALL) != job->size) die("recv");
    const uint64_t now = now_ns();
    samples[count++] = (uint32_t)(now - sent);
    sent = now;
  }
  const double seconds = seconds_since(start);
  qsort(samples, count, sizeof *samples, by_value);
  printf("{\"count\": %u, \"p10Us\": %.2f, \"p50Us\": %.2f, \"p90Us\": %.2f, \"p99Us\": %.2f, ", count,
         percentile_us(samples, count, 10), percentile_us(samples, count, 50), percentile_us(samples, count, 90),
         percentile_us(samples, count, 99));
  print_histogram(samples, count);
  printf(", \"seconds\": %.6f}\n", seconds);
}

/* ── in, out ── */

static void run_in(const Job* job) {
  struct pollfd* flows = calloc((size_t)job->count, sizeof *flows);
  if (flows == NULL) die("calloc");
  for (int i = 0; i < job->count; i++) {
    flows[i] = (struct pollfd){.fd = connected(job, PORT_DISCARD), .events = POLLOUT};
  }
  uint64_t sent = 0, confirmed = 0;
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  while (now_ns() < deadline) {
    poll(flows, (nfds_t)job->count, 100);
    for (int i = 0; i < job->count; i++) {
      if (!(flows[i].revents & (POLLOUT | POLLERR | POLLHUP))) continue;
      const ssize_t size = write(flows[i].fd, chunk, CHUNK);
      if (size < 0 && errno != EAGAIN) die("write");
      if (size > 0) sent += (uint64_t)size;
    }
  }
  for (int i = 0; i < job->count; i++) shutdown(flows[i].fd, SHUT_WR);
  for (int i = 0; i < job->count; i++) {
    uint64_t bytes;
    fcntl(flows[i].fd, F_SETFL, 0);
    if (recv(flows[i].fd, &bytes, sizeof bytes, MSG_WAITALL) != sizeof bytes) die("recv");
    confirmed += be64toh(bytes);
  }
  const double seconds = seconds_since(start);
  if (confirmed != sent) {
    fprintf(stderr, "sent %llu bytes, the server got %llu\n", (unsigned long long)sent,
            (unsigned long long)confirmed);
    exit(1);
  }
  printf("{\"bytes\": %llu, \"seconds\": %.6f", (unsigned long long)confirmed, seconds);
  print_congestion(flows[0].fd);
  puts("}");
}

static void run_out(const Job* job) {
  struct pollfd* flows = calloc((size_t)job->count, sizeof *flows);
  if (flows == NULL) die("calloc");
  for (int i = 0; i < job->count; i++) {
    flows[i] = (struct pollfd){.fd = connected(job, PORT_SOURCE), .events = POLLIN};
  }
  uint64_t bytes = 0;
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  while (now_ns() < deadline) {
    poll(flows, (nfds_t)job->count, 100);
    for (int i = 0; i < job->count; i++) {
      if (flows[i].revents == 0) continue;
      const ssize_t size = read(flows[i].fd, chunk, CHUNK);
      if (size == 0 || (size < 0 && errno != EAGAIN)) die("read");
      if (size > 0) bytes += (uint64_t)size;
    }
  }
  const double seconds = seconds_since(start);
  for (int i = 0; i < job->count; i++) {
    shutdown(flows[i].fd, SHUT_WR);
    fcntl(flows[i].fd, F_SETFL, 0);
    while (read(flows[i].fd, chunk, CHUNK) > 0) continue; /* What was on its way when we stopped. */
  }
  printf("{\"bytes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)bytes, seconds);
}

/* ── conn ── */

typedef struct {
  int poller;
  const Job* job;
  uint64_t count;
} Dialler;

static void dial(Dialler* dialler) {
  const int fd = open_socket(dialler->job, PORT_ECHO, SOCK_STREAM, 1);
  struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
  if (epoll_ctl(dialler->poller, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
}

static void step(Dialler* dialler, const struct epoll_event* event) {
  const int fd = event->data.fd;
  if (event->events & EPOLLOUT) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) errno = error, die("connect");
    send_message(fd, 1);
    struct epoll_event next = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(dialler->poller, EPOLL_CTL_MOD, fd, &next) < 0) die("epoll_ctl");
    return;
  }
  if (read(fd, chunk, 1) != 1) die("read");
  close(fd);
  dialler->count++;
  dial(dialler);
}

static void run_connections(const Job* job) {
  Dialler dialler = {.poller = epoll_create1(EPOLL_CLOEXEC), .job = job};
  struct epoll_event events[EVENTS];
  const uint64_t start = now_ns();
  const uint64_t deadline = deadline_of(job, start);
  for (int i = 0; i < job->count; i++) dial(&dialler);
  while (now_ns() < deadline) {
    const int ready = epoll_wait(dialler.poller, events, EVENTS, 100);
    for (int e = 0; e < ready; e++) step(&dialler, &events[e]);
  }
  printf("{\"count\": %llu, \"seconds\": %.6f}\n", (unsigned long long)dialler.count, seconds_since(start));
}

/* ── hold ── */

/* One byte out and back on each. Returns how many were answered, each within ANSWER_MS. */
static int ask_each(const Job* job, const int* fds) {
  int answered = 0;
  for (int first = 0; first < job->count; first += BATCH) {
    const int last = first + BATCH < job->count ? first + BATCH : job->count;
    for (int i = first; i < last; i++) send_message(fds[i], 1);
    for (int i = first; i < last; i++) {
      struct pollfd waiting = {.fd = fds[i], .events = POLLIN};
      if (poll(&waiting, 1, ANSWER_MS) > 0 && read(fds[i], chunk, 1) == 1) answered++;
    }
  }
  return answered;
}

static void run_hold(const Job* job) {
  int* fds = calloc((size_t)job->count, sizeof *fds);
  if (fds == NULL) die("calloc");
  uint64_t start = now_ns();
  for (int i = 0; i < job->count; i++) fds[i] = open_socket(job, PORT_ECHO, SOCK_STREAM, 0);
  printf("{\"count\": %d, \"seconds\": %.6f}\n", job->count, seconds_since(start));
  fflush(stdout);
  while (read(0, chunk, 1) > 0) {
    start = now_ns();
    const int answered = ask_each(job, fds);
    printf("{\"answered\": %d, \"seconds\": %.6f}\n", answered, seconds_since(start));
    fflush(stdout);
  }
}

static const struct {
  const char* name;
  void (*run)(const Job*);
} MODES[] = {{"udp", run_udp}, {"msg", run_messages},     {"rtt", run_round_trips}, {"in", run_in},
             {"out", run_out}, {"conn", run_connections}, {"hold", run_hold}};

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  const Job job = {argv[2], atof(argv[3]), atoi(argv[4]), argc > 5 ? atoi(argv[5]) : 1,
                   argc > 6 ? argv[6] : NULL};
  if (job.count < 1 || job.size < 1 || job.size > 2048) return 2;
  for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
    if (strcmp(MODES[i].name, argv[1]) != 0) continue;
    MODES[i].run(&job);
    return 0;
  }
  return 2;
}
