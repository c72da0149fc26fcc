/* The services of the benchmark on lwIP as Debian builds it, over a plain TUN. One thread reads the TUN
 * and calls the stack directly, under its lock: lwIP's fastest way, without mailboxes between threads.
 * usage: lwip-server NETNS NAME OWN-ADDRESS PEER-ADDRESS */
#define _GNU_SOURCE
#include <endian.h>
#include <poll.h>
#include <signal.h>

#include "tun.h"

/* After the headers of the kernel: both name some things alike. */
#undef TCP_MSS
#include <lwip/ip.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/tcpip.h>
#include <lwip/udp.h>

/* Most packets taken in before the lock is given back: lwIP's timers need it too. */
enum { BURST = 64, MTU = 1500, CHUNK = 64 * 1024 };

static int tun;
static uint8_t chunk[CHUNK];
static unsigned long long dropped;

/* ── link ── */

static err_t send_packet(struct netif* netif, struct pbuf* packet, const ip4_addr_t* to) {
  (void)netif, (void)to;
  static uint8_t whole[MTU];
  const void* bytes = packet->payload;
  if (packet->next != NULL) {
    pbuf_copy_partial(packet, whole, packet->tot_len, 0);
    bytes = whole;
  }
  if (write(tun, bytes, packet->tot_len) < 0) dropped++;
  return ERR_OK;
}

static err_t set_up(struct netif* netif) {
  netif->name[0] = 't', netif->name[1] = 'n';
  netif->mtu = MTU;
  netif->output = send_packet;
  return ERR_OK;
}

static void receive_burst(struct netif* netif) {
  static uint8_t packet[MTU];
  for (int i = 0; i < BURST; i++) {
    const ssize_t size = read(tun, packet, sizeof packet);
    if (size < 0) {
      if (errno == EAGAIN) return;
      if (errno != EIO) die("read");
      usleep(1000); /* The link is down. */
      return;
    }
    struct pbuf* copy = pbuf_alloc(PBUF_RAW, (u16_t)size, PBUF_RAM);
    if (copy == NULL || pbuf_take(copy, packet, (u16_t)size) != ERR_OK || ip_input(copy, netif) != ERR_OK) {
      if (copy != NULL) pbuf_free(copy);
      dropped++;
    }
  }
}

/* ── services ── */

/* Ends a connection from one of its callbacks. What the callback returns is returned. */
static err_t finish(struct tcp_pcb* pcb) {
  if (tcp_close(pcb) == ERR_OK) return ERR_OK;
  tcp_abort(pcb);
  return ERR_ABRT;
}

static err_t echo(void* unused, struct tcp_pcb* pcb, struct pbuf* text, err_t error) {
  (void)unused, (void)error;
  if (text == NULL) return finish(pcb);
  tcp_recved(pcb, text->tot_len);
  for (struct pbuf* part = text; part != NULL; part = part->next) {
    /* Messages here are far smaller than the send buffer. */
    if (tcp_write(pcb, part->payload, part->len, TCP_WRITE_FLAG_COPY) != ERR_OK) dropped++;
  }
  pbuf_free(text);
  return tcp_output(pcb);
}

static err_t discard(void* counter, struct tcp_pcb* pcb, struct pbuf* text, err_t error) {
  (void)error;
  uint64_t* bytes = counter;
  if (text != NULL) {
    *bytes += text->tot_len;
    tcp_recved(pcb, text->tot_len);
    pbuf_free(text);
    return ERR_OK;
  }
  const uint64_t count = htobe64(*bytes);
  free(bytes);
  tcp_arg(pcb, NULL);
  tcp_err(pcb, NULL);
  if (tcp_write(pcb, &count, sizeof count, TCP_WRITE_FLAG_COPY) != ERR_OK) dropped++;
  return finish(pcb);
}

/* lwIP has freed the connection already. */
static void forget_counter(void* counter, err_t error) {
  (void)error;
  free(counter);
}

static err_t send_on(void* unused, struct tcp_pcb* pcb, u16_t acknowledged) {
  (void)unused, (void)acknowledged;
  while (tcp_sndbuf(pcb) > 0) {
    const u16_t room = tcp_sndbuf(pcb) < CHUNK ? (u16_t)tcp_sndbuf(pcb) : (u16_t)(CHUNK - 1);
    if (tcp_write(pcb, chunk, room, 0) != ERR_OK) break; /* Its queue of segments is full. */
  }
  return tcp_output(pcb);
}

static err_t end_source(void* unused, struct tcp_pcb* pcb, struct pbuf* text, err_t error) {
  (void)unused, (void)error;
  if (text != NULL) {
    tcp_recved(pcb, text->tot_len);
    pbuf_free(text);
    return ERR_OK;
  }
  tcp_abort(pcb);
  return ERR_ABRT;
}

static err_t accept_echo(void* unused, struct tcp_pcb* pcb, err_t error) {
  (void)unused;
  if (error != ERR_OK || pcb == NULL) return ERR_VAL;
  tcp_nagle_disable(pcb);
  tcp_recv(pcb, echo);
  return ERR_OK;
}

static err_t accept_discard(void* unused, struct tcp_pcb* pcb, err_t error) {
  (void)unused;
  if (error != ERR_OK || pcb == NULL) return ERR_VAL;
  tcp_arg(pcb, calloc(1, sizeof(uint64_t)));
  tcp_err(pcb, forget_counter);
  tcp_recv(pcb, discard);
  return ERR_OK;
}

static err_t accept_source(void* unused, struct tcp_pcb* pcb, err_t error) {
  if (error != ERR_OK || pcb == NULL) return ERR_VAL;
  tcp_nagle_disable(pcb);
  tcp_recv(pcb, end_source);
  tcp_sent(pcb, send_on);
  return send_on(unused, pcb, 0);
}

static void serve(int port, tcp_accept_fn accept_one) {
  struct tcp_pcb* pcb = tcp_new();
  if (pcb == NULL || tcp_bind(pcb, IP_ANY_TYPE, (u16_t)port) != ERR_OK) die("tcp_bind");
  struct tcp_pcb* listener = tcp_listen_with_backlog(pcb, 255);
  if (listener == NULL) die("tcp_listen");
  tcp_accept(listener, accept_one);
}

static void echo_datagram(void* unused, struct udp_pcb* pcb, struct pbuf* text, const ip_addr_t* from, u16_t port) {
  (void)unused;
  if (udp_sendto(pcb, text, from, port) != ERR_OK) dropped++;
  pbuf_free(text);
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  tun = open_plain_tun(argv[1], argv[2]);
  ip4_addr_t own, peer, mask;
  if (!ip4addr_aton(argv[3], &own) || !ip4addr_aton(argv[4], &peer)) return 2;
  IP4_ADDR(&mask, 255, 255, 255, 0);
  tcpip_init(NULL, NULL);
  static struct netif netif;
  LOCK_TCPIP_CORE();
  if (netif_add(&netif, &own, &mask, &peer, NULL, set_up, ip_input) == NULL) die("netif_add");
  netif_set_default(&netif);
  netif_set_up(&netif);
  netif_set_link_up(&netif);
  serve(PORT_ECHO, accept_echo);
  serve(PORT_DISCARD, accept_discard);
  serve(PORT_SOURCE, accept_source);
  struct udp_pcb* datagrams = udp_new();
  if (datagrams == NULL || udp_bind(datagrams, IP_ANY_TYPE, PORT_ECHO) != ERR_OK) die("udp_bind");
  udp_recv(datagrams, echo_datagram, NULL);
  UNLOCK_TCPIP_CORE();
  puts("ready");
  fflush(stdout);
  struct pollfd waiting = {.fd = tun, .events = POLLIN};
  for (;;) {
    if (poll(&waiting, 1, -1) < 0) die("poll");
    if (waiting.revents & (POLLERR | POLLNVAL)) usleep(1000);
    LOCK_TCPIP_CORE();
    receive_burst(&netif);
    UNLOCK_TCPIP_CORE();
  }
}
