// What a service of the platform gives up before it serves: capabilities, new privileges, core files, debuggers, files
// that it does not need, other networks than its own, and system calls that it never makes.
//
// Every step is attempted and its success recorded; what a host lacks is missing from the layers and nothing else
// breaks. The user that it runs as was chosen by who started it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "services/common/sandbox/layers.h"

namespace allod::sandbox {

struct ServiceNeeds {
  std::vector<std::filesystem::path> reads;   // beyond what every program reads (libraries, /etc, /proc)
  std::vector<std::filesystem::path> writes;  // directories; made if missing
  bool network = false;                       // TCP, beside Unix sockets
  std::uint64_t open_files_max = 4096;
};

// The directory of "unix:/a/b.sock": "/a". A service needs it to make and replace its socket.
std::filesystem::path SocketDirectory(std::string_view listen);

// Call first, before there are threads, which it would not cover. Cannot be undone. Tells the layers to whoever started
// the process (kLayersFdVariable), and logs them.
Layers EnterServiceSandbox(const ServiceNeeds& needs);

// Environment variable that names a descriptor to which a starting process writes its layers, separated by spaces, and
// a newline; it is closed then. What is not set is not told.
inline constexpr char kLayersFdVariable[] = "ALLOD_LAYERS_FD";

}  // namespace allod::sandbox
