/// Small conversions between JavaScript's values and ours.
#ifndef TUNSTACK_NAPI_SUPPORT_H_
#define TUNSTACK_NAPI_SUPPORT_H_

#include <string>

#include <napi.h>

#include "tun_linux.h"

namespace tunstack {

/// Throws an Error with `errno`, a positive number, and `syscall`; the loader names it.
inline void Throw(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.syscall);
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.syscall));
  error.ThrowAsJavaScriptException();
}

/// A property that is a string; empty when it is not.
inline std::string Text(const Napi::Object& options, const char* key) {
  const Napi::Value value = options.Get(key);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

/// An argument that is an integer, such as a descriptor; -1 when it is not.
inline int Integer(const Napi::CallbackInfo& info, size_t i) {
  const Napi::Value value = info[i];
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

/// The memory of a typed array.
struct Lent {
  void* data = nullptr;
  /// Elements.
  size_t length = 0;
  /// Its buffer.
  napi_value buffer = nullptr;
  /// Whether the buffer can be taken away from it: an ArrayBuffer can be transferred, a shared one cannot.
  bool detachable = true;
};

/// False unless `value` is a typed array of `type` whose memory stays where it is and as long as it is.
inline bool LendTypedArray(const Napi::Value& value, napi_typedarray_type type, Lent& lent) {
  if (!value.IsTypedArray()) return false;
  const Napi::Env env = value.Env();
  napi_typedarray_type actual;
  const napi_status status =
      napi_get_typedarray_info(env, value, &actual, &lent.length, &lent.data, &lent.buffer, nullptr);
  if (status != napi_ok || actual != type || lent.data == nullptr) return false;
  napi_is_arraybuffer(env, lent.buffer, &lent.detachable);
  return !lent.detachable || !Napi::Object(env, lent.buffer).Get("resizable").ToBoolean();
}

}  // namespace tunstack

#endif  // TUNSTACK_NAPI_SUPPORT_H_
