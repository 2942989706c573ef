// A small HTTP client for the gateway and for identity providers, over libcurl.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/result.h"

namespace allod::cli::net {

struct HttpResponse {
  int status = 0;
  std::string body;  // empty when `on_data` took it
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::string bearer;                                          // API key, if any
  std::string json;                                            // body, if any
  std::vector<std::pair<std::string, std::string>> form = {};  // the same as application/x-www-form-urlencoded
  std::vector<std::pair<std::string, std::string>> headers = {};
  int timeout_s = 600;
  // Receives the body of a 2xx answer as it arrives; returning false ends the transfer.
  std::function<bool(std::string_view)> on_data;
};

// UNAVAILABLE / HTTP_FAILED when no complete answer came.
Result<HttpResponse> Fetch(const HttpRequest& request);

// Whether GET answers 200 within a second.
bool HttpReady(const std::string& url);

}  // namespace allod::cli::net
