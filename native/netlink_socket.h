/// A netlink socket as JavaScript sees it.
#ifndef TUNSTACK_NETLINK_SOCKET_H_
#define TUNSTACK_NETLINK_SOCKET_H_

#include <napi.h>

namespace tunstack {

class NetlinkSocket final : public Napi::ObjectWrap<NetlinkSocket> {
 public:
  static Napi::Function Define(Napi::Env env);
  /// { netns } opens one there, { fd } adopts one.
  explicit NetlinkSocket(const Napi::CallbackInfo& info);
  ~NetlinkSocket();

 private:
  /// exchange(request: Uint8Array): Uint8Array with the messages of the answer
  Napi::Value Exchange(const Napi::CallbackInfo& info);
  Napi::Value GetDescriptor(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  int fd_ = -1;
  uint32_t sequence_ = 0;
};

}  // namespace tunstack

#endif  // TUNSTACK_NETLINK_SOCKET_H_
