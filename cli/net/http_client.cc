#include "cli/net/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

#include "services/common/percent.h"

namespace allod::cli::net {
namespace {

constexpr std::size_t kBodyBytesMax = 64 << 20;

struct Transfer {
  const HttpRequest* request;
  CURL* curl;
  HttpResponse response;
};

std::size_t OnData(char* data, std::size_t size, std::size_t count, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const std::size_t bytes = size * count;
  long status = 0;
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
  if (transfer.request->on_data && status / 100 == 2) {
    return transfer.request->on_data(std::string_view(data, bytes)) ? bytes : 0;
  }
  if (transfer.response.body.size() + bytes > kBodyBytesMax) return 0;
  transfer.response.body.append(data, bytes);
  return bytes;
}

}  // namespace

Result<HttpResponse> Fetch(const HttpRequest& request) {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(ready ? curl_easy_init() : nullptr,
                                                                 &curl_easy_cleanup);
  if (!curl) return Internal("libcurl could not start");
  curl_slist* headers = nullptr;
  if (!request.bearer.empty())
    headers = curl_slist_append(headers, ("Authorization: Bearer " + request.bearer).c_str());
  if (!request.json.empty()) headers = curl_slist_append(headers, "Content-Type: application/json");
  for (const auto& [name, value] : request.headers) headers = curl_slist_append(headers, (name + ": " + value).c_str());
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owned(headers, &curl_slist_free_all);

  Transfer transfer{&request, curl.get(), {}};
  curl_easy_setopt(curl.get(), CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, request.method.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_NOPROXY, "127.0.0.1,::1,localhost");  // what is on this machine
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, static_cast<long>(request.timeout_s));
  if (!request.json.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, request.json.data());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.json.size()));
  }
  const std::string form = FormOf(request.form);
  if (!form.empty()) {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, form.data());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(form.size()));
  }
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &OnData);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &transfer);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    return Fail(Code::kUnavailable, "HTTP_FAILED",
                fmt::format("{} {}: {}", request.method, request.url, curl_easy_strerror(code)));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  transfer.response.status = static_cast<int>(status);
  return std::move(transfer.response);
}

bool HttpReady(const std::string& url) {
  const auto response = Fetch({.url = url, .timeout_s = 1});
  return response && response->status == 200;
}

}  // namespace allod::cli::net
