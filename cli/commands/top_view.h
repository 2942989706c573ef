// What `allod top` shows: one screen of text from what nodes told last. Pure, so that it is tested without a server.
#pragma once

#include <string>
#include <vector>

#include "allod/scheduling/v1/node.pb.h"

namespace allod::cli::commands {

struct TopSnapshot {
  std::vector<scheduling::v1::Node> nodes;
  std::vector<scheduling::v1::Worker> workers;
};

// A paragraph per node (memory, gate, resident models), then a line per replica, busiest first.
std::string TopText(const TopSnapshot& snapshot);
// {"nodes": [...], "workers": [...]} as the API's own JSON.
std::string TopJson(const TopSnapshot& snapshot);

// "1.5 GiB", "24 MiB", "512 KiB".
std::string ShortBytes(std::int64_t bytes);

}  // namespace allod::cli::commands
