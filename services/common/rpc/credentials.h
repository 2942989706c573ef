// What the two ends of a connection prove to each other, and ask: that both are of one installation.
//
// Who calls is stated in metadata and believed (caller.h), so who connects must be one of the installation. Connections
// are Unix sockets of one host (unix_address.h), and the kernel vouches for either end: a channel goes to a file that
// only the installation's users can make or open, and a server is told the user of the other end (SO_PEERCRED,
// unix(7)). Channels and servers are made with what stands here and nothing else, so another proof is added here.
#pragma once

#include <grpcpp/grpcpp.h>
#include <sys/types.h>

#include <memory>
#include <string_view>
#include <vector>

#include "services/common/owned_fd.h"

namespace allod {

struct Credentials {
  // Users whose processes a server admits beside root and those of its own user.
  std::vector<uid_t> peer_uids = {};
  // Whoever can open the socket file is admitted: its directory's group was chosen by the operator.
  bool by_file_mode = false;

  // What a channel is made with.
  static std::shared_ptr<grpc::ChannelCredentials> OfChannel();
  // Whether a server takes `connection`, which came to `socket`; who is not admitted is logged.
  bool Admit(const OwnedFd& connection, std::string_view socket) const;
  // Makes an admitted connection one of the server's.
  static void Serve(grpc::Server& server, OwnedFd connection);
};

}  // namespace allod
