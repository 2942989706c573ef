// The right to start operations of a client call from outside its reactions.
//
// gRPC ends a call, and frees what its operations run on, once its status is there and nothing of it is under way: also
// between two operations that another thread starts. A hold keeps it, and with it OnDone, until it is let go. Every
// client reactor whose operations are started from a strand, a coroutine or another call's reactions starts them
// through one of these; from its own reactions it needs none.
//
// Thread-safe. LetGo() must come, exactly as the reads of a call must: when one failed, or when nobody will ask for
// more. OnDone then runs on a thread of gRPC's, never inside LetGo().
#pragma once

#include <mutex>
#include <utility>

namespace allod {

// `Reactor`: grpc::ClientReadReactor<...>, ClientBidiReactor<...> or ClientWriteReactor<...>.
template <typename Reactor>
class CallHold {
 public:
  CallHold() = default;
  CallHold(const CallHold&) = delete;

  // Once, after `reactor` was given to the stub and before its StartCall().
  void Take(Reactor& reactor) {
    const std::lock_guard lock(mutex_);
    reactor.AddHold();
    reactor_ = &reactor;
  }

  // Runs `operation`, which starts one; false, and nothing is done, before Take() and after LetGo().
  template <typename Operation>
  bool Start(Operation&& operation) {
    const std::lock_guard lock(mutex_);
    if (!reactor_) return false;
    std::forward<Operation>(operation)();
    return true;
  }

  // No operation is started through this any more. The first call counts.
  void LetGo() {
    Reactor* held = nullptr;
    {
      const std::lock_guard lock(mutex_);
      held = std::exchange(reactor_, nullptr);
    }
    // Outside the lock: OnDone may destroy this object before RemoveHold() returns.
    if (held) held->RemoveHold();
  }

 private:
  std::mutex mutex_;
  Reactor* reactor_ = nullptr;
};

}  // namespace allod
