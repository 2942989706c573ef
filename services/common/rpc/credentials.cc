#include "services/common/rpc/credentials.h"

#include <fcntl.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "services/common/log.h"

namespace allod {

// gRPC's word for what neither encrypts nor sends a proof.
std::shared_ptr<grpc::ChannelCredentials> Credentials::OfChannel() { return grpc::InsecureChannelCredentials(); }

bool Credentials::Admit(const OwnedFd& connection, std::string_view socket) const {
  if (by_file_mode) return true;
  ucred peer{};
  socklen_t bytes = sizeof(peer);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0) return false;
  if (peer.uid == 0 || peer.uid == geteuid() || std::ranges::find(peer_uids, peer.uid) != peer_uids.end()) return true;
  Log(LogLevel::kWarning, "a connection of a user that may not connect here was closed",
      {{"socket", std::string(socket)}, {"uid", std::to_string(peer.uid)}, {"pid", std::to_string(peer.pid)}});
  return false;
}

void Credentials::Serve(grpc::Server& server, OwnedFd connection) {
  fcntl(connection.get(), F_SETFL, fcntl(connection.get(), F_GETFL) | O_NONBLOCK);
  grpc::AddInsecureChannelFromFd(&server, connection.Release());
}

}  // namespace allod
