// The command line of allod-worker.
#pragma once

#include <string>
#include <variant>

namespace allod::inference::worker {

// Descriptors that the node agent leaves open for it.
inline constexpr int kControlFd = 3;  // zygote::Channel
inline constexpr int kModelFd = 4;    // the model's file, open for reading

struct Options {
  std::string sha256;
  bool private_weights = false;  // share no page of the file with anybody
  bool strict = false;
};

// The options, or the exit status when there is nothing to run (help was printed, or what is wrong).
std::variant<Options, int> ParseOptions(int argc, char** argv);

}  // namespace allod::inference::worker
