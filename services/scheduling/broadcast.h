// A value that one thread publishes and others wait to see change. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace allod::scheduling {

template <typename T>
class Broadcast {
 public:
  struct Seen {
    std::uint64_t version = 0;       // 0: nothing was published yet
    std::shared_ptr<const T> value;  // null then
  };

  // Equal to what stands: nothing happens.
  void Publish(T value) {
    const std::lock_guard lock(mutex_);
    if (value_ != nullptr && *value_ == value) return;
    value_ = std::make_shared<const T>(std::move(value));
    ++version_;
    changed_.notify_all();
  }

  // Returns once the version differs from `version`, or after `timeout`.
  Seen Await(std::uint64_t version, std::chrono::milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return version_ != version; });
    return {version_, value_};
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const T> value_;
};

}  // namespace allod::scheduling
