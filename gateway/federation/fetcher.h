// Reads small documents of strangers by HTTPS, never on the caller's thread. Thread-safe.
#pragma once

#include <functional>
#include <string>

#include "services/common/result.h"

namespace allod::gateway::federation {

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  using Done = std::function<void(Result<std::string>)>;
  // Calls `done` once, with the body of a 200 or with why there is none (UNAVAILABLE / FETCH_FAILED, or
  // FAILED_PRECONDITION / ADDRESS_NOT_ALLOWED); from a thread of the fetcher's, also when it is stopped before.
  virtual void Fetch(std::string url, Done done) = 0;
};

}  // namespace allod::gateway::federation
