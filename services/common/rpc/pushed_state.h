// What a service pushes, as the last whole stream left it: the part that tables which Watch() (watch.h) feeds have in
// common. While a snapshot arrives what was known stands; the message that completes it takes its place at once. While
// the stream is broken the last state stands, but there may be news that is not known here. Thread-safe.
#pragma once

#include <mutex>
#include <shared_mutex>
#include <utility>

namespace allod {

template <typename Content>
class PushedState {
 public:
  PushedState() = default;
  PushedState(const PushedState&) = delete;

  // A new stream begins: what follows up to `synced` replaces what was known.
  void BeginSnapshot() {
    Content old{};  // destroyed when nobody waits for the lock any more, here and below
    const std::unique_lock lock(mutex_);
    in_snapshot_ = true;
    std::swap(old, snapshot_);
  }

  // The next message: `change` is called once, with what it is to change, while nobody reads.
  template <typename Change>
  void Apply(bool synced, Change change) {
    Content old{};
    const std::unique_lock lock(mutex_);
    change(in_snapshot_ ? snapshot_ : content_);
    if (!in_snapshot_ || !synced) return;
    std::swap(old, content_);
    std::swap(content_, snapshot_);
    in_snapshot_ = false;
    synced_ = current_ = true;
  }

  // The stream broke: from now on there may be things that are not known here.
  void EndStream() {
    const std::unique_lock lock(mutex_);
    current_ = false;
  }

  // What is known, which does not change while this lives.
  class Reading {
   public:
    const Content& operator*() const { return state_.content_; }
    const Content* operator->() const { return &state_.content_; }
    // There was a whole snapshot.
    bool synced() const { return state_.synced_; }
    // And what is not known here is not there: the stream that would tell of it is whole, as far as is known.
    bool current() const { return state_.current_; }

   private:
    friend PushedState;
    explicit Reading(const PushedState& state) : state_(state), lock_(state.mutex_) {}
    const PushedState& state_;
    std::shared_lock<std::shared_mutex> lock_;
  };
  Reading Read() const { return Reading(*this); }

 private:
  mutable std::shared_mutex mutex_;
  bool synced_ = false;
  bool current_ = false;
  bool in_snapshot_ = false;
  Content content_{};
  Content snapshot_{};  // being received
};

}  // namespace allod
