// How a process ended.
#pragma once

#include <optional>
#include <string>

namespace allod::inference::node::pool {

// One of the first two is set.
struct ProcessExit {
  std::optional<int> status;
  std::optional<int> signal;
  std::string last_line;  // of its standard error; may be empty
};

// For people: "exit status 1: ..." or "killed by signal 9 (Killed): ...".
std::string Describe(const ProcessExit& exit);

}  // namespace allod::inference::node::pool
