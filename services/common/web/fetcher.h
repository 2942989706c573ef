// Reads small documents of strangers by HTTPS and posts to them, never on the caller's thread. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "services/common/result.h"

namespace allod {

struct FetchRequest {
  std::string url;
  std::string form = {};           // what is posted (application/x-www-form-urlencoded); empty: nothing, it is a GET
  std::string authorization = {};  // the header's value, if any
  // Posted as it is, with `headers` ("content-type: text/plain"): then whatever 2xx is answered is well.
  std::string body = {};
  std::vector<std::string> headers = {};
  std::chrono::milliseconds timeout{0};  // for all of it; 0: the fetcher's
};

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  using Done = std::function<void(Result<std::string>)>;
  // Calls `done` once, with the body of a 200 (or 2xx) or with why there is none (UNAVAILABLE / FETCH_FAILED, or
  // FAILED_PRECONDITION / ADDRESS_NOT_ALLOWED; for a 400 or 401 to a form UNAUTHENTICATED / FORM_REFUSED, with what
  // RFC 6749's `error` says); from a thread of the fetcher's, also when it is stopped before.
  virtual void Fetch(FetchRequest request, Done done) = 0;
};

}  // namespace allod
