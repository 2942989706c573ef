// What an operator may set of the node that `allod up` starts: one table, from which come the flags, their help, what
// is kept from one `allod up` to the next, and the node's configuration. What is not given stays as it was, and else is
// the node's default.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::supervisor {

struct NodeSetting {
  const char* flag;
  const char* field;  // in the node's file, as a JSON pointer
  const char* help;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::int64_t unit = 1;                // how much of the field is one of the flag
  std::vector<std::string> words = {};  // if any: these, and no number
};
std::span<const NodeSetting> NodeSettings();

// What this `allod up` was given: fields with their values, in the field's unit.
using GivenNodeSettings = std::map<std::string, nlohmann::json>;

// The settings in the node's file, given those in the `last` one (or null). INVALID_ARGUMENT / INVALID_SETTING for
// those that exclude each other.
Result<nlohmann::json> MergeNodeSettings(const nlohmann::json& last, const GivenNodeSettings& given);
// Of these, what the planner has to know to count a pooled worker as the node makes it.
nlohmann::json PoolForPlanner(const nlohmann::json& settings);

}  // namespace allod::cli::supervisor
