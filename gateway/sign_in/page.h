// The one page that this room shows: that signing in did not work, and why. Pure.
#pragma once

#include <string>

#include "gateway/http/message.h"
#include "services/common/result.h"

namespace allod::gateway::sign_in {

// `again` is a path to begin anew at; empty: there is none, and where it is not known whose people sign in the page
// asks.
http::Response FailurePage(const Error& error, const std::string& again);

}  // namespace allod::gateway::sign_in
