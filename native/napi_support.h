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
};

/// False unless `value` is a typed array of `type` whose memory is shared, and so cannot be detached.
inline bool LendTypedArray(const Napi::Value& value, napi_typedarray_type type, Lent& lent) {
  if (!value.IsTypedArray()) return false;
  napi_typedarray_type actual;
  napi_value buffer;
  bool detachable = true;
  const napi_status status =
      napi_get_typedarray_info(value.Env(), value, &actual, &lent.length, &lent.data, &buffer, nullptr);
  if (status != napi_ok) return false;
  napi_is_arraybuffer(value.Env(), buffer, &detachable);
  return actual == type && !detachable && lent.data != nullptr;
}

}  // namespace tunstack

#endif  // TUNSTACK_NAPI_SUPPORT_H_
