// Addresses of the platform's own gRPC: "unix:/absolute/path.sock", and nothing else.
//
// Who calls is stated in metadata and believed (rpc/caller.h), because only processes of the installation can reach a
// socket file. Over TCP anybody on the network could state it; until calls carry mutual TLS such an address is refused,
// wherever it stands: to listen on and to connect to.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod {

// Longest path that fits into a sockaddr_un.
inline constexpr std::size_t kUnixPathBytesMax = 107;

// INVALID_ARGUMENT / INVALID_ADDRESS says what is wrong with `field` and what to write instead.
Status CheckUnixAddress(std::string_view field, std::string_view address);

// What a socket file at `path` shall have for a mode: open to the group of a directory that was made for that (it hands
// its group down: setgid), else to its owner alone.
mode_t SocketMode(const std::string& path);

// The path of an address that passed the check.
std::string UnixPath(std::string_view address);

}  // namespace allod
