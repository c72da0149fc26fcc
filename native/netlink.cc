#include "netlink.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <new>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace tunstack {
namespace {

/// The kernel answers at once; this bounds a wait that should never happen.
constexpr int kTimeoutSeconds = 5;
/// The most one answer datagram takes (the kernel's own limit is 32 KiB).
constexpr size_t kDatagramBytes = 64 * 1024;
/// A routing table larger than this is not read.
constexpr size_t kMaxAnswerBytes = 64 * 1024 * 1024;

Failure Failed(const char* syscall) { return {errno, syscall}; }

enum class Step { kMore, kDone };

/// Takes one message of the answer to `sequence`.
Step Take(const nlmsghdr* message, uint32_t sequence, std::vector<uint8_t>& answer, Failure& failure) {
  if (message->nlmsg_seq != sequence) return Step::kMore;  // of a request that was given up
  if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) failure = {EINTR, "netlink"};
  if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
    int error = message->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
    if (message->nlmsg_len >= NLMSG_LENGTH(sizeof error)) memcpy(&error, NLMSG_DATA(message), sizeof error);
    if (error < 0) failure = {-error, "netlink"};
    return Step::kDone;
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(message);
  answer.insert(answer.end(), bytes, bytes + message->nlmsg_len);
  answer.resize(NLMSG_ALIGN(answer.size()));
  return Step::kMore;
}

/// Takes the messages of one datagram.
Step TakeAll(const uint8_t* bytes, size_t length, uint32_t sequence, std::vector<uint8_t>& answer,
             Failure& failure) {
  size_t at = 0;
  while (at + sizeof(nlmsghdr) <= length) {
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes + at);
    if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > length - at) break;
    if (Take(message, sequence, answer, failure) == Step::kDone) return Step::kDone;
    at += NLMSG_ALIGN(message->nlmsg_len);
  }
  return Step::kMore;
}

}  // namespace

Failure OpenNetlink(int& fd) noexcept {
  fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return Failed("socket");
  return AdoptNetlink(fd);
}

Failure AdoptNetlink(int fd) noexcept {
  int domain = 0;
  int protocol = 0;
  socklen_t size = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0) return Failed("getsockopt");
  size = sizeof protocol;
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0) return Failed("getsockopt");
  if (domain != AF_NETLINK || protocol != NETLINK_ROUTE) return {EPROTOTYPE, "getsockopt"};
  timeval limit = {kTimeoutSeconds, 0};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0) return Failed("setsockopt");
  return {};
}

Failure ExchangeNetlink(int fd, uint32_t sequence, uint8_t* request, size_t length,
                        std::vector<uint8_t>& answer) noexcept {
  if (length < sizeof(nlmsghdr)) return {EINVAL, "netlink"};
  nlmsghdr header;
  memcpy(&header, request, sizeof header);
  header.nlmsg_len = static_cast<uint32_t>(length);
  header.nlmsg_seq = sequence;
  header.nlmsg_pid = 0;
  memcpy(request, &header, sizeof header);
  sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  if (sendto(fd, request, length, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) {
    return Failed("sendto");
  }
  std::unique_ptr<uint8_t[]> datagram(new (std::nothrow) uint8_t[kDatagramBytes]);
  if (datagram == nullptr) return {ENOMEM, "recvfrom"};
  Failure failure;
  for (;;) {
    const ssize_t size = recv(fd, datagram.get(), kDatagramBytes, MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Failed("recvfrom");
    if (static_cast<size_t>(size) > kDatagramBytes) return {EMSGSIZE, "recvfrom"};
    if (answer.size() + static_cast<size_t>(size) > kMaxAnswerBytes) return {ENOBUFS, "recvfrom"};
    const Step step = TakeAll(datagram.get(), static_cast<size_t>(size), sequence, answer, failure);
    if (step == Step::kDone) return failure;
  }
}

}  // namespace tunstack
