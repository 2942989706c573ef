// What to say of a change that failed and may have been made all the same. Pure.
#pragma once

#include <string>

#include "services/common/result.h"

namespace allod::cli::commands {

// Whether the service may have carried it out although it did not say so.
bool MayBeDone(const Error& error);

// The one that was given with --request-id, or a new one.
std::string RequestIdOr(const std::string& given);

// Adds with which `--request-id` the command is to be repeated, so that it is carried out once. For others the error as
// it is.
Error ToRepeat(Error error, const std::string& request_id);

}  // namespace allod::cli::commands
