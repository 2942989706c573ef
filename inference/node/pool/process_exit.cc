#include "inference/node/pool/process_exit.h"

#include <fmt/format.h>

#include <cstring>

namespace allod::inference::node::pool {

std::string Describe(const ProcessExit& exit) {
  std::string how = exit.signal ? fmt::format("killed by signal {} ({})", *exit.signal, strsignal(*exit.signal))
                                : fmt::format("exit status {}", exit.status.value_or(-1));
  return exit.last_line.empty() ? how : fmt::format("{}: {}", how, exit.last_line);
}

}  // namespace allod::inference::node::pool
