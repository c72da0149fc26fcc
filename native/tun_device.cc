#include "tun_device.h"

#include <cstring>
#include <string>

#include "napi_support.h"

namespace tunstack {
namespace {

/// Batches per wake-up; then the loop turns, so that a flood of packets does not starve the rest of it.
constexpr int kMaxRounds = 4;

/// Most memories the texts of a batch may lie in: one for each packet.
constexpr int kMaxMemories = 64;

/// What `write` answers.
constexpr int kWritten = 0;
constexpr int kBlocked = 1;
constexpr int kFailed = 2;

/// Whether an arena is where it was when it was lent; empty stands for one in shared memory.
bool IsThere(const Napi::Reference<Napi::ArrayBuffer>& arena) {
  return arena.IsEmpty() || !arena.Value().IsDetached();
}

/// Memories that texts lie in, for the time of a call. What has been taken away is empty by now.
int LendTexts(const Napi::CallbackInfo& info, LentMemory (&memories)[kMaxMemories]) {
  if (info.Length() < 1 || !info[0].IsArray()) return 0;
  const Napi::Array given = info[0].As<Napi::Array>();
  const uint32_t length = given.Length();
  int count = 0;
  for (uint32_t i = 0; i < length && count < kMaxMemories; i++) {
    Lent lent;
    const bool usable = LendTypedArray(given.Get(i), napi_uint8_array, lent);
    memories[count++] = usable ? LentMemory{static_cast<const uint8_t*>(lent.data), lent.length}
                               : LentMemory{nullptr, 0};
  }
  return count;
}

bool Flag(const Napi::Object& options, const char* key) { return options.Get(key).ToBoolean(); }

/// @returns whether it fits
bool ReadName(const Napi::Object& options, TunRequest& request) {
  const std::string name = Text(options, "name");
  if (name.size() >= kNameBytes || name.find('\0') != std::string::npos) return false;
  memcpy(request.name, name.c_str(), name.size() + 1);
  return true;
}

Failure Open(const Napi::Object& options, Tun& tun) {
  TunRequest request;
  request.offload = Flag(options, "offload");
  const Napi::Value fd = options.Get("fd");
  if (fd.IsNumber()) {
    const int headerBytes = options.Get("headerBytes").ToNumber().Int32Value();
    const Failure failure = AdoptTun(fd.As<Napi::Number>().Int32Value(), request.offload, headerBytes, tun);
    // What a socket carries, only its owner knows.
    if (!tun.isTun) tun.ethernet = Flag(options, "tap");
    return failure;
  }
  request.tap = Flag(options, "tap");
  if (!ReadName(options, request)) return {ENAMETOOLONG, "ioctl"};
  request.multiQueue = Flag(options, "multiQueue");
  request.persist = Flag(options, "persist");
  return RunInNamespace(Text(options, "netns").c_str(), [&] { return OpenTun(request, tun); });
}

}  // namespace

Napi::Function TunDevice::Define(Napi::Env env) {
  return DefineClass(env, "NativeTun",
                     {
                         InstanceAccessor<&TunDevice::GetName>("name"),
                         InstanceAccessor<&TunDevice::GetDescriptor>("fd"),
                         InstanceAccessor<&TunDevice::GetFacts>("facts"),
                         InstanceMethod<&TunDevice::Start>("start"),
                         InstanceMethod<&TunDevice::Write>("write"),
                         InstanceMethod<&TunDevice::RefLoop>("ref"),
                         InstanceMethod<&TunDevice::UnrefLoop>("unref"),
                         InstanceMethod<&TunDevice::Close>("close"),
                         InstanceMethod<&TunDevice::Release>("release"),
                     });
}

TunDevice::TunDevice(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TunDevice>(info) {
  if (info.Length() < 1 || !info[0].IsObject()) {
    Napi::TypeError::New(info.Env(), "options expected").ThrowAsJavaScriptException();
    return;
  }
  const Failure failure = Open(info[0].As<Napi::Object>(), tun_);
  if (info.Env().IsExceptionPending()) return;
  if (failure.error != 0) Throw(info.Env(), failure);
  const Napi::Value vigilUs = info[0].As<Napi::Object>().Get("busyPollUs");
  if (vigilUs.IsNumber()) vigil_.Limit(vigilUs.As<Napi::Number>().Uint32Value() * uint64_t{1000});
}

TunDevice::~TunDevice() {
  // Node frees an async context with its environment at hand, which a finaliser may not have; a started
  // device is held by its loop and was shut before it came here.
  poll_.reset();
  if (tun_.fd >= 0) close(tun_.fd);
}

Napi::Value TunDevice::GetName(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), tun_.name);
}

Napi::Value TunDevice::GetDescriptor(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), tun_.fd >= 0 ? tun_.fd : port_.fd);
}

Napi::Value TunDevice::GetFacts(const Napi::CallbackInfo& info) {
  Napi::Object facts = Napi::Object::New(info.Env());
  facts.Set("isTun", tun_.isTun);
  facts.Set("isEthernet", tun_.ethernet);
  facts.Set("headerBytes", tun_.headerBytes);
  facts.Set("offloads", tun_.offloads);
  facts.Set("multiQueue", tun_.multiQueue);
  facts.Set("persist", tun_.persist);
  return facts;
}

/// Takes the five typed arrays of `start`. The tables lie in shared memory, which cannot be transferred away
/// and leave us a dangling pointer. The arenas may be ordinary memory, which V8 copies several times as
/// fast: before each use we see to it that they are still there.
bool TunDevice::Borrow(const Napi::CallbackInfo& info) {
  Lent lent[5];
  constexpr napi_typedarray_type kTypes[] = {napi_uint8_array, napi_int32_array, napi_uint8_array,
                                             napi_int32_array, napi_float64_array};
  for (size_t i = 0; i < 5; i++) {
    if (!LendTypedArray(info[i], kTypes[i], lent[i])) return false;
    if (lent[i].detachable && kTypes[i] != napi_uint8_array) return false;
  }
  constexpr size_t kLeastWords = kBatchHeaderWords + kSlotWords;
  if (lent[1].length < kLeastWords || lent[3].length < kLeastWords) return false;
  if (lent[0].length < kMaxSlotBytes || lent[4].length < kCounters) return false;
  for (size_t i = 0; i < 5; i++) lent_[i] = Napi::Persistent(info[i].As<Napi::TypedArray>());
  const Napi::Env env = info.Env();
  if (lent[0].detachable) incomingArena_ = Napi::Persistent(Napi::ArrayBuffer(env, lent[0].buffer));
  if (lent[2].detachable) outgoingArena_ = Napi::Persistent(Napi::ArrayBuffer(env, lent[2].buffer));
  incoming_ = PacketBatch(static_cast<uint8_t*>(lent[0].data), lent[0].length,
                          static_cast<int32_t*>(lent[1].data), lent[1].length);
  outgoing_ = PacketBatch(static_cast<uint8_t*>(lent[2].data), lent[2].length,
                          static_cast<int32_t*>(lent[3].data), lent[3].length);
  port_.counters = static_cast<double*>(lent[4].data);
  return true;
}

/// start(incoming bytes, words, outgoing bytes, words, counters, callback)
void TunDevice::Start(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (tun_.fd < 0 || poll_ != nullptr) {
    Throw(env, {EBADF, "poll"});
    return;
  }
  if (info.Length() < 6 || !info[5].IsFunction() || !Borrow(info)) {
    const char* wanted = "typed arrays, the tables in shared memory, and a function expected";
    Napi::TypeError::New(env, wanted).ThrowAsJavaScriptException();
    return;
  }
  int error = 0;
  poll_ = PollHandle::Open(env, tun_.fd, this, error);
  if (poll_ == nullptr) {
    Throw(env, {error, "poll"});
    return;
  }
  port_.fd = tun_.fd;
  port_.headerBytes = tun_.headerBytes;
  port_.offloads = tun_.offloads;
  port_.datagrams = tun_.datagrams;
  port_.ethernet = tun_.ethernet;
  tun_.fd = -1;  // the poll handle closes it
  callback_ = Napi::Persistent(info[5].As<Napi::Function>());
  napi_async_init(env, info.This(), Napi::String::New(env, "TUNSTACK"), &context_);
  // Like a socket that listens, an open device lives until it is closed, referenced or not.
  Ref();
  poll_->Start(UV_READABLE);
}

/// write([memories of texts])
Napi::Value TunDevice::Write(const Napi::CallbackInfo& info) {
  LentMemory memories[kMaxMemories];
  outgoing_.LendTexts(memories, LendTexts(info, memories));
  const int answer = WriteOutgoing();
  // The packets that must wait need their texts for longer than those are lent.
  if (answer == kBlocked && IsThere(outgoingArena_)) outgoing_.TakeTexts(next_);
  outgoing_.LendTexts(nullptr, 0);
  return Napi::Number::New(info.Env(), answer);
}

int TunDevice::WriteOutgoing() {
  int answer = kWritten;
  if (poll_ == nullptr || failed_ != 0) {
    if (port_.counters != nullptr) DropRest(port_, outgoing_, 0, failed_ != 0 ? failed_ : EBADF);
    answer = kFailed;
  } else if (blocked_) {
    answer = kBlocked;
  } else {
    next_ = 0;
    const int outcome = IsThere(outgoingArena_) ? WriteBatch(port_, outgoing_, next_) : EFAULT;
    if (outcome == EAGAIN) {
      blocked_ = true;
      poll_->Start(UV_READABLE | UV_WRITABLE);
      answer = kBlocked;
    } else if (outcome != 0) {
      // Nothing is called back from within a write: the loop comes round to say so.
      DropRest(port_, outgoing_, next_, outcome);
      failed_ = outcome;
      poll_->Start(UV_READABLE | UV_WRITABLE);
      answer = kFailed;
    }
  }
  return answer;
}

void TunDevice::RefLoop(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) poll_->Ref();
}

void TunDevice::UnrefLoop(const Napi::CallbackInfo&) {
  if (poll_ != nullptr) poll_->Unref();
}

void TunDevice::Close(const Napi::CallbackInfo&) { Shut(); }

/// Gives an adopted descriptor back to whoever it came from.
void TunDevice::Release(const Napi::CallbackInfo&) { tun_.fd = -1; }

void TunDevice::OnPoll(int status, int events) {
  const Napi::HandleScope scope(Env());
  // A handle to this object, which so outlives the call, whatever the callback closes.
  [[maybe_unused]] const Napi::Value self = Value();
  if (failed_ != 0) {
    Fail(failed_);
    return;
  }
  if ((events & UV_WRITABLE) != 0 && blocked_) Resume();
  // libuv reports an error without saying which; reading does.
  if (poll_ != nullptr && failed_ == 0 && (status != 0 || (events & UV_READABLE) != 0)) {
    const bool watches = vigil_.Woken(uv_hrtime());
    ReadRounds();
    vigil_.Rested(uv_hrtime());
    if (watches && poll_ != nullptr && failed_ == 0) poll_->StayAwake(true);
  }
  if (poll_ != nullptr && failed_ == 0 && status != 0) Fail(-status);
}

void TunDevice::OnVigil() {
  const Napi::HandleScope scope(Env());
  [[maybe_unused]] const Napi::Value self = Value();
  if (failed_ == 0 && ReadRounds()) {
    port_.counters[kRxAwake]++;
    vigil_.Rested(uv_hrtime());
  } else if (poll_ != nullptr && (failed_ != 0 || vigil_.IsOver(uv_hrtime()))) {
    poll_->StayAwake(false);
  }
}

void TunDevice::OnTeardown() { Shut(); }

bool TunDevice::ReadRounds() {
  bool came = false;
  for (int round = 0; round < kMaxRounds; round++) {
    const int outcome = IsThere(incomingArena_) ? ReadBatch(port_, incoming_) : EFAULT;
    if (outcome != EFAULT && incoming_.count() > 0) {
      came = true;
      if (!Emit(TunEvent::kBatch, incoming_.count())) return true;
    }
    if (outcome == EAGAIN) return came;
    if (outcome != 0) {
      Fail(outcome);
      return came;
    }
  }
  return came;
}

void TunDevice::Resume() {
  const int outcome = IsThere(outgoingArena_) ? WriteBatch(port_, outgoing_, next_) : EFAULT;
  if (outcome == EAGAIN) return;
  blocked_ = false;
  if (outcome != 0) {
    DropRest(port_, outgoing_, next_, outcome);
    Fail(outcome);
    return;
  }
  poll_->Start(UV_READABLE);
  Emit(TunEvent::kWritable, 0);
}

bool TunDevice::Emit(TunEvent event, int value) {
  const Napi::Env env = Env();
  const napi_value arguments[] = {Napi::Number::New(env, static_cast<int>(event)),
                                  Napi::Number::New(env, value)};
  napi_value result;
  const napi_status status =
      napi_make_callback(env, context_, Value(), callback_.Value(), 2, arguments, &result);
  bool thrown = false;
  napi_is_exception_pending(env, &thrown);
  if (thrown) {
    // What the callback throws is uncaught, as in any event handler. This device goes on if Node does.
    napi_value error;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
  }
  return status == napi_ok && !thrown && poll_ != nullptr && failed_ == 0;
}

/// The port is of no more use: stops polling, and says so once.
void TunDevice::Fail(int error) {
  if (failed_ == 0 && blocked_) DropRest(port_, outgoing_, next_, error);
  failed_ = error;
  blocked_ = false;
  poll_->Stop();
  Emit(TunEvent::kDown, error);
}

void TunDevice::Shut() {
  if (tun_.fd >= 0) close(tun_.fd);
  tun_.fd = -1;
  if (poll_ == nullptr) return;
  if (blocked_) DropRest(port_, outgoing_, next_, ECANCELED);
  blocked_ = false;
  poll_.reset();
  port_.fd = -1;
  callback_.Reset();
  if (context_ != nullptr) napi_async_destroy(Env(), context_);
  context_ = nullptr;
  // The arrays stay until the object goes: a batch may be in flight above us on the stack.
  Unref();
}

}  // namespace tunstack
