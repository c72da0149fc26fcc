/// A TUN, or another descriptor that carries packets, on the loop of the environment that made it.
#ifndef TUNSTACK_TUN_DEVICE_H_
#define TUNSTACK_TUN_DEVICE_H_

#include <napi.h>

#include "packet_batch.h"
#include "tun_linux.h"
#include "uv_handle.h"
#include "vigil.h"

namespace tunstack {

/// What the callback of `start` hears: (event, value).
enum class TunEvent : int { kBatch = 0, kWritable = 1, kDown = 2 };

class TunDevice final : public Napi::ObjectWrap<TunDevice>, private PollHandle::Owner {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit TunDevice(const Napi::CallbackInfo& info);
  /// Also the finaliser: a device nobody closed is closed when it is collected.
  ~TunDevice();

 private:
  void OnPoll(int status, int events) override;
  void OnVigil() override;
  void OnTeardown() override;

  // JavaScript's view of it.
  Napi::Value GetName(const Napi::CallbackInfo& info);
  Napi::Value GetDescriptor(const Napi::CallbackInfo& info);
  Napi::Value GetFacts(const Napi::CallbackInfo& info);
  void Start(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  int WriteOutgoing();
  void RefLoop(const Napi::CallbackInfo& info);
  void UnrefLoop(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void Release(const Napi::CallbackInfo& info);

  bool Borrow(const Napi::CallbackInfo& info);
  /// @returns whether packets came
  bool ReadRounds();
  /// Goes on with a batch the device had no room for.
  void Resume();
  /// Calls JavaScript. False when it threw or this device is to do no more.
  bool Emit(TunEvent event, int value);
  void Fail(int error);
  void Shut();

  Tun tun_;
  PacketPort port_;
  PacketBatch incoming_;
  PacketBatch outgoing_;
  /// First slot of `outgoing_` not yet written.
  int next_ = 0;
  /// Whether the device is full and `outgoing_` waits.
  bool blocked_ = false;
  /// The errno that ended the port; 0 while it lives.
  int failed_ = 0;
  PollHandle::Pointer poll_;
  Vigil vigil_;
  Napi::FunctionReference callback_;
  /// Keep the memory that is borrowed.
  Napi::Reference<Napi::TypedArray> lent_[5];
  /// The arenas, where they are not shared memory.
  Napi::Reference<Napi::ArrayBuffer> incomingArena_;
  Napi::Reference<Napi::ArrayBuffer> outgoingArena_;
  napi_async_context context_ = nullptr;
};

}  // namespace tunstack

#endif  // TUNSTACK_TUN_DEVICE_H_
