#include "netlink_socket.h"

#include <cerrno>
#include <cstring>
#include <vector>

#include <unistd.h>

#include "napi_support.h"
#include "netlink.h"
#include "uv_handle.h"

namespace tunstack {

Napi::Function NetlinkSocket::Define(Napi::Env env) {
  return DefineClass(env, "NativeNetlink",
                     {
                         InstanceMethod<&NetlinkSocket::Exchange>("exchange"),
                         InstanceAccessor<&NetlinkSocket::GetDescriptor>("fd"),
                         InstanceMethod<&NetlinkSocket::Close>("close"),
                     });
}

NetlinkSocket::NetlinkSocket(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NetlinkSocket>(info) {
  if (info.Length() < 1 || !info[0].IsObject()) {
    Napi::TypeError::New(info.Env(), "options expected").ThrowAsJavaScriptException();
    return;
  }
  const Napi::Object options = info[0].As<Napi::Object>();
  const Napi::Value fd = options.Get("fd");
  Failure failure;
  if (fd.IsNumber()) {
    const int given = fd.As<Napi::Number>().Int32Value();
    failure = AdoptNetlink(given);
    if (failure.error == 0) fd_ = given;
  } else {
    failure = RunInNamespace(Text(options, "netns").c_str(), [&] { return OpenNetlink(fd_); });
  }
  if (failure.error != 0) Throw(info.Env(), failure);
}

NetlinkSocket::~NetlinkSocket() {
  if (fd_ >= 0) close(fd_);
}

Napi::Value NetlinkSocket::Exchange(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (fd_ < 0) {
    Throw(env, {EBADF, "netlink"});
    return env.Undefined();
  }
  if (info.Length() < 1 || !info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Napi::TypeError::New(env, "bytes expected").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Uint8Array given = info[0].As<Napi::Uint8Array>();
  std::vector<uint8_t> request(given.Data(), given.Data() + given.ByteLength());
  std::vector<uint8_t> answer;
  const Failure failure = ExchangeNetlink(fd_, ++sequence_, request.data(), request.size(), answer);
  if (failure.error != 0) {
    Throw(env, failure);
    return env.Undefined();
  }
  Napi::Uint8Array copy = Napi::Uint8Array::New(env, answer.size());
  if (!answer.empty()) memcpy(copy.Data(), answer.data(), answer.size());
  return copy;
}

Napi::Value NetlinkSocket::GetDescriptor(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), fd_);
}

void NetlinkSocket::Close(const Napi::CallbackInfo&) {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace tunstack
