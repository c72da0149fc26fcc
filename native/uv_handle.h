/// Owners of what belongs to a loop or a thread of Node.
#ifndef TUNSTACK_UV_HANDLE_H_
#define TUNSTACK_UV_HANDLE_H_

#include <cerrno>
#include <memory>
#include <new>

#include <fcntl.h>
#include <node_api.h>
#include <sched.h>
#include <unistd.h>
#include <uv.h>

#include "tun_linux.h"

namespace tunstack {

/// A descriptor polled on the loop of an environment. libuv needs the handle until it says so, and an
/// environment must not end before that (a worker with an open handle aborts the whole process), so the
/// handle lives apart from its owner: `Close` ends it for the owner, libuv's callback frees it.
class PollHandle {
 public:
  class Owner {
   public:
    /// `status` is 0 or a negative errno of libuv, which then has stopped polling.
    virtual void OnPoll(int status, int events) = 0;
    /// Once a turn of the loop, which does not sleep, while `StayAwake(true)` holds.
    virtual void OnVigil() = 0;
    /// The environment is going away: close the handle. JavaScript can no longer be called.
    virtual void OnTeardown() = 0;

   protected:
    ~Owner() = default;
  };

  struct Closer {
    void operator()(PollHandle* handle) const { handle->Close(); }
  };
  using Pointer = std::unique_ptr<PollHandle, Closer>;

  /// Takes `fd` over if it succeeds; else `error` says why.
  static Pointer Open(napi_env env, int fd, Owner* owner, int& error) {
    uv_loop_t* loop = nullptr;
    error = EINVAL;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) return nullptr;
    auto* handle = new (std::nothrow) PollHandle(fd, owner);
    error = ENOMEM;
    if (handle == nullptr) return nullptr;
    error = -uv_poll_init(loop, &handle->poll_, fd);
    if (error != 0) {
      delete handle;
      return nullptr;
    }
    handle->poll_.data = handle;
    // Cannot fail. It never keeps a loop alive: what else does, does so while it watches.
    uv_idle_init(loop, &handle->idle_);
    handle->idle_.data = handle;
    uv_unref(reinterpret_cast<uv_handle_t*>(&handle->idle_));
    if (napi_add_async_cleanup_hook(env, OnEnvironmentExit, handle, &handle->hook_) != napi_ok) {
      handle->fd_ = -1;
      handle->Close();
      error = ECANCELED;
      return nullptr;
    }
    return Pointer(handle);
  }

  void Start(int events) {
    uv_poll_start(&poll_, events, [](uv_poll_t* poll, int status, int happened) {
      auto* handle = static_cast<PollHandle*>(poll->data);
      if (handle->owner_ != nullptr) handle->owner_->OnPoll(status, happened);
    });
  }
  void Stop() {
    uv_poll_stop(&poll_);
    StayAwake(false);
  }
  /// A loop with an idle handle asks for events, but does not wait for them.
  void StayAwake(bool awake) {
    if (!awake) {
      uv_idle_stop(&idle_);
      return;
    }
    uv_idle_start(&idle_, [](uv_idle_t* idle) {
      auto* handle = static_cast<PollHandle*>(idle->data);
      if (handle->owner_ != nullptr) handle->owner_->OnVigil();
    });
  }
  void Ref() { uv_ref(Raw()); }
  void Unref() { uv_unref(Raw()); }

 private:
  PollHandle(int fd, Owner* owner) : fd_(fd), owner_(owner) {}
  ~PollHandle() = default;

  uv_handle_t* Raw() { return reinterpret_cast<uv_handle_t*>(&poll_); }

  /// Both handles end here, one after the other.
  static void OnClosed(uv_handle_t* raw) {
    auto* handle = static_cast<PollHandle*>(raw->data);
    if (--handle->open_ > 0) return;
    if (handle->hook_ != nullptr) napi_remove_async_cleanup_hook(handle->hook_);
    delete handle;
  }

  void Close() {
    owner_ = nullptr;
    // uv_close forgets the descriptor at once, so it may be closed, and its number used again.
    uv_close(Raw(), OnClosed);
    uv_close(reinterpret_cast<uv_handle_t*>(&idle_), OnClosed);
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  /// Node waits for `napi_remove_async_cleanup_hook`, which comes when libuv has closed the handle.
  static void OnEnvironmentExit(napi_async_cleanup_hook_handle, void* data) {
    auto* handle = static_cast<PollHandle*>(data);
    if (handle->owner_ != nullptr) handle->owner_->OnTeardown();
  }

  uv_poll_t poll_ = {};
  uv_idle_t idle_ = {};
  /// Handles that libuv has not closed.
  int open_ = 2;
  int fd_;
  Owner* owner_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

/// Runs `task` in the network namespace of file `path`, or right here when that is empty. A thread of
/// its own enters the namespace and ends, so that no thread of Node ever leaves its own.
template <typename Task>
Failure RunInNamespace(const char* path, Task task) {
  if (path[0] == '\0') return task();
  struct Job {
    int fd;
    Task* task;
    Failure failure;
  };
  Job job = {open(path, O_RDONLY | O_CLOEXEC), &task, {}};
  if (job.fd < 0) return {errno, "open"};
  uv_thread_t thread;
  const int error = uv_thread_create(
      &thread,
      [](void* data) {
        auto* mine = static_cast<Job*>(data);
        mine->failure = setns(mine->fd, CLONE_NEWNET) < 0 ? Failure{errno, "setns"} : (*mine->task)();
      },
      &job);
  if (error == 0) uv_thread_join(&thread);
  close(job.fd);
  return error == 0 ? job.failure : Failure{-error, "pthread_create"};
}

}  // namespace tunstack

#endif  // TUNSTACK_UV_HANDLE_H_
