// A connection between two processes of a node that carries whole messages (JSON) with descriptors: SOCK_SEQPACKET over
// AF_UNIX with SCM_RIGHTS (unix(7)).
//
// Both sides bound what they take: 128 KiB and 8 descriptors a message. Not thread-safe. Closes its socket on
// destruction.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "services/common/owned_fd.h"
#include "services/common/result.h"

namespace allod::inference::zygote {

struct Message {
  nlohmann::json body;  // an object
  std::vector<OwnedFd> fds;

  // The field "type"; empty if there is none.
  std::string type() const;
};

class Channel {
 public:
  Channel() = default;
  explicit Channel(OwnedFd socket) : socket_(std::move(socket)) {}
  // Two connected ends.
  static Result<std::pair<Channel, Channel>> MakePair();

  int fd() const { return socket_.get(); }
  explicit operator bool() const { return static_cast<bool>(socket_); }
  // Does not wait: UNAVAILABLE / CHANNEL_CLOSED when the peer is gone, RESOURCE_EXHAUSTED / CHANNEL_FULL when it does
  // not read.
  Status Send(const nlohmann::json& body, const std::vector<int>& fds = {});
  // Waits for a message, unless `wait` is false: then nothing when none is there. UNAVAILABLE / CHANNEL_CLOSED at the
  // end, INVALID_ARGUMENT / BAD_MESSAGE for what is no message (the channel is then unusable).
  Result<std::optional<Message>> Receive(bool wait = true);

 private:
  OwnedFd socket_;
};

}  // namespace allod::inference::zygote
