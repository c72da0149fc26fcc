/// What the addon exports. It keeps no global state: each environment that loads it, worker or not, gets
/// objects of its own.
#include <cstring>
#include <vector>

#include <napi.h>

#include "checksum.h"
#include "napi_support.h"
#include "netlink_socket.h"
#include "packet_batch.h"
#include "tun_device.h"
#include "tun_linux.h"

namespace tunstack {
namespace {

/// The numbers both sides must agree on (lib/link/native-addon.ts compares them).
Napi::Object Layout(Napi::Env env) {
  Napi::Object layout = Napi::Object::New(env);
  const struct {
    const char* name;
    size_t value;
  } constants[] = {
      {"batchCount", kBatchCount},
      {"batchError", kBatchError},
      {"batchTail", kBatchTail},
      {"batchHeaderWords", kBatchHeaderWords},
      {"slotOffset", kSlotOffset},
      {"slotLength", kSlotLength},
      {"slotChecksum", kSlotChecksum},
      {"slotSegmentSize", kSlotSegmentSize},
      {"slotHeaderBytes", kSlotHeaderBytes},
      {"slotMark", kSlotMark},
      {"slotTimeLow", kSlotTimeLow},
      {"slotTimeHigh", kSlotTimeHigh},
      {"slotVerdict", kSlotVerdict},
      {"slotTextAt", kSlotTextAt},
      {"slotTextBytes", kSlotTextBytes},
      {"slotTextMemory", kSlotTextMemory},
      {"slotWords", kSlotWords},
      {"slotAlign", kSlotAlign},
      {"maxSlotBytes", kMaxSlotBytes},
      {"checksumUnknown", static_cast<size_t>(ChecksumState::kUnknown)},
      {"checksumValid", static_cast<size_t>(ChecksumState::kValid)},
      {"checksumBad", static_cast<size_t>(ChecksumState::kBad)},
      {"checksumPartial", static_cast<size_t>(ChecksumState::kPartial)},
      {"errnoBase", kErrnoBase},
      {"counters", kCounters},
  };
  for (const auto& constant : constants) layout.Set(constant.name, static_cast<double>(constant.value));
  return layout;
}

/// checksum(bytes, offset, length, initial): the folded sum in network order.
Napi::Value SumCallback(const Napi::CallbackInfo& info) {
  const auto sum = reinterpret_cast<SumFunction>(info.Data());
  uint8_t* data = nullptr;
  size_t available = 0;
  if (info.Length() >= 3 && info[0].IsTypedArray()) {
    napi_typedarray_type type;
    void* memory = nullptr;
    napi_get_typedarray_info(info.Env(), info[0], &type, &available, &memory, nullptr, nullptr);
    if (type == napi_uint8_array) data = static_cast<uint8_t*>(memory);
  }
  const int64_t offset = info[1].IsNumber() ? info[1].As<Napi::Number>().Int64Value() : -1;
  const int64_t length = info[2].IsNumber() ? info[2].As<Napi::Number>().Int64Value() : -1;
  const uint32_t initial = info[3].IsNumber() ? info[3].As<Napi::Number>().Uint32Value() : 0;
  const auto end = static_cast<int64_t>(available);
  if (offset < 0 || length < 0 || offset > end || length > end - offset || (data == nullptr && length > 0)) {
    Napi::RangeError::New(info.Env(), "outside the bytes").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), Checksum(sum, data + offset, static_cast<size_t>(length), initial));
}

Napi::Function SumFunctionOf(Napi::Env env, const char* name, SumFunction sum) {
  return Napi::Function::New(env, SumCallback, name, reinterpret_cast<void*>(sum));
}

Napi::Object Checksums(Napi::Env env) {
  Napi::Object checksums = Napi::Object::New(env);
  for (const SumVariant* variant = SumVariants(); variant->name != nullptr; variant++) {
    checksums.Set(variant->name, SumFunctionOf(env, variant->name, variant->sum));
  }
  return checksums;
}

/// socketPair(): [fd, fd]
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  int fds[2];
  const Failure failure = MakeSocketPair(fds);
  if (failure.error != 0) {
    Throw(info.Env(), failure);
    return info.Env().Undefined();
  }
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  pair.Set(0u, Napi::Number::New(info.Env(), fds[0]));
  pair.Set(1u, Napi::Number::New(info.Env(), fds[1]));
  return pair;
}

/// sendDescriptor(socket, fd, text)
void Send(const Napi::CallbackInfo& info) {
  const std::string text = info[2].IsString() ? info[2].As<Napi::String>().Utf8Value() : "";
  const Failure failure =
      SendDescriptor(Integer(info, 0), Integer(info, 1), text.empty() ? "." : text.data(),
                     text.empty() ? 1 : text.size());
  if (failure.error != 0) Throw(info.Env(), failure);
}

/// receiveDescriptor(socket): { fd, text }; does not wait
Napi::Value Receive(const Napi::CallbackInfo& info) {
  char bytes[4096];
  size_t length = sizeof bytes;
  int fd = -1;
  const Failure failure = ReceiveDescriptor(Integer(info, 0), fd, bytes, length);
  if (failure.error != 0) {
    Throw(info.Env(), failure);
    return info.Env().Undefined();
  }
  Napi::Object received = Napi::Object::New(info.Env());
  received.Set("fd", fd);
  received.Set("text", Napi::String::New(info.Env(), bytes, length));
  return received;
}

/// stealDescriptor(pid, fd): fd
Napi::Value Steal(const Napi::CallbackInfo& info) {
  int fd = -1;
  const Failure failure = StealDescriptor(Integer(info, 0), Integer(info, 1), fd);
  if (failure.error != 0) Throw(info.Env(), failure);
  return Napi::Number::New(info.Env(), fd);
}

/// openNamespace(tun fd): fd
Napi::Value Namespace(const Napi::CallbackInfo& info) {
  int fd = -1;
  const Failure failure = OpenNamespace(Integer(info, 0), fd);
  if (failure.error != 0) Throw(info.Env(), failure);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Object Register(Napi::Env env, Napi::Object exports) {
  exports.Set("layout", Layout(env));
  exports.Set("checksum", SumFunctionOf(env, "checksum", ChooseSum()));
  exports.Set("checksums", Checksums(env));
  exports.Set("NativeTun", TunDevice::Define(env));
  exports.Set("NativeNetlink", NetlinkSocket::Define(env));
  exports.Set("socketPair", Napi::Function::New(env, SocketPair, "socketPair"));
  exports.Set("sendDescriptor", Napi::Function::New(env, Send, "sendDescriptor"));
  exports.Set("receiveDescriptor", Napi::Function::New(env, Receive, "receiveDescriptor"));
  exports.Set("stealDescriptor", Napi::Function::New(env, Steal, "stealDescriptor"));
  exports.Set("openNamespace", Napi::Function::New(env, Namespace, "openNamespace"));
  return exports;
}

}  // namespace
}  // namespace tunstack

static Napi::Object Init(Napi::Env env, Napi::Object exports) { return tunstack::Register(env, exports); }
NODE_API_MODULE(tunstack, Init)
