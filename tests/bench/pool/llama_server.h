// The peer: a llama-server of the same llama.cpp, with its own defaults apart from what makes it do the same work as
// the platform. Built by tests/bench/pool/build_peer. Throws std::runtime_error when it does not start.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "tests/bench/pool/interrupt.h"
#include "tests/bench/pool/stream_client.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace allod::bench {

// Where it lies; throws when it was not built.
std::filesystem::path LlamaServerProgram();

struct LlamaServerShape {
  int threads = 2;
  int parallel = 1;
  int context_tokens = 512;  // of each slot
};

class LlamaServer {
 public:
  // Returns at once; it loads meanwhile.
  LlamaServer(const std::filesystem::path& model, const LlamaServerShape& shape);

  // Until it can answer.
  void AwaitReady(std::chrono::seconds timeout);
  bool Ready();  // asks once
  pid_t pid() const { return process_.pid(); }
  StreamRequest Completion(const std::string& prompt, int tokens) const;
  StreamRequest Chat(const std::string& content, int tokens) const;

 private:
  const TempDir directory_;
  const int port_;
  Process process_;
  const EndedWhenInterrupted guard_;
};

}  // namespace allod::bench
