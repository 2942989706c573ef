// The command line of allod-worker.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

namespace allod::inference::worker {

struct Options {
  std::filesystem::path model;
  std::string sha256;
  std::string listen;    // "unix:/path/x.sock"
  std::string instance;  // "tenants/{tenant}/projects/{project}/instances/{instance}"
  std::int32_t context_tokens = 0;
  std::int32_t max_concurrency = 4;
  std::int32_t threads = 0;  // 0: what suits the model
  bool skip_digest = false;
  bool die_with_parent = false;
};

// The options, or the exit status when there is nothing to run (help was printed, or what is wrong).
std::variant<Options, int> ParseOptions(int argc, char** argv);

}  // namespace allod::inference::worker
