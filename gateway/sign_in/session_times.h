// How long sessions hold.
#pragma once

#include <chrono>

namespace allod::gateway::sign_in {

struct SessionTimes {
  std::chrono::seconds idle{1800};        // of a browser's, without being used
  std::chrono::seconds absolute{43'200};  // of every session
};

}  // namespace allod::gateway::sign_in
