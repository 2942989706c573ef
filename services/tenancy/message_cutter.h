// Cuts what a watcher is sent into messages that a client can read. Of one stream; not thread-safe.
#pragma once

#include <grpcpp/support/sync_stream.h>

#include <cstddef>

namespace allod::tenancy {

// A message has no item more once this is reached, or would be passed. So it is larger for one item only, and the
// largest are about 3.9 MiB (a tenant's limits) of the 4 that a message may have.
inline constexpr std::size_t kWatchMessageBytes = 256 << 10;

template <typename Message>
class MessageCutter {
 public:
  // Outlives this.
  explicit MessageCutter(grpc::ServerWriter<Message>& writer) : writer_(writer) {}

  // Where the next item is put: first sends what is there if there is no place for it. False: the client is gone.
  template <typename Item>
  bool MakeRoom(const Item& item) {
    const std::size_t more = item.ByteSizeLong();
    if (bytes_ > 0 && bytes_ + more > kWatchMessageBytes) {
      if (!writer_.Write(message_)) return false;
      message_.Clear();
      bytes_ = 0;
    }
    bytes_ += more;
    return true;
  }
  Message& message() { return message_; }

 private:
  grpc::ServerWriter<Message>& writer_;
  Message message_;
  std::size_t bytes_ = 0;  // of its items
};

}  // namespace allod::tenancy
