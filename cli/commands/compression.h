// What `allod import` and `allod compress` share: compressing a version of a model, and showing what came out.
#pragma once

#include <string>
#include <vector>

#include "cli/commands/commands.h"
#include "cli/installation/state_dir.h"

namespace allod::cli::commands {

// "Q8_0, Q6_K, ...": the types that there are.
std::string CompressionTypes();

// Both spellings are fine: Q4_K_M, as types are called, and q4_k_m, as variants are; afterwards it is the first.
// INVALID_ARGUMENT / UNKNOWN_COMPRESSION.
Status CheckCompressions(std::vector<std::string>& types);

// One after the other, waiting for each.
Status CompressTo(const installation::StateDir& state, const std::string& version,
                  const std::vector<std::string>& types);

Status ShowVariants(const Globals& globals, const installation::StateDir& state, const std::string& version);

}  // namespace allod::cli::commands
