#include "gateway/router.h"

#include <fmt/format.h>

#include "gateway/gateway_metrics.h"
#include "gateway/http_error.h"

namespace allod::gateway {
namespace {

// Passes everything on and remembers the status for the metrics.
class CountingWriter final : public ResponseWriter {
 public:
  explicit CountingWriter(ResponseWriter& inner) : inner_(inner) {}

  Awaitable<bool> Send(HttpResponse response) override {
    status = response.status;
    return inner_.Send(std::move(response));
  }
  Awaitable<bool> StartStream(HttpHeaders headers) override {
    status = 200;
    return inner_.StartStream(std::move(headers));
  }
  Awaitable<bool> Write(std::string_view data) override { return inner_.Write(data); }
  Awaitable<bool> EndStream() override { return inner_.EndStream(); }
  void Abort() override { inner_.Abort(); }
  bool gone() const override { return inner_.gone(); }
  bool shutting_down() const override { return inner_.shutting_down(); }
  void OnInterrupt(std::function<void()> interrupt) override { inner_.OnInterrupt(std::move(interrupt)); }

  int status = 0;

 private:
  ResponseWriter& inner_;
};

}  // namespace

void Router::Add(std::string method, std::string path, std::string label, HttpHandler handler) {
  const bool prefix = path.ends_with('*');
  if (prefix) path.pop_back();
  routes_.push_back({std::move(method), std::move(path), prefix, std::move(label), std::move(handler)});
}

void Router::AddPrefix(std::string prefix, std::string label, HttpHandler handler) {
  routes_.push_back({"", std::move(prefix), true, std::move(label), std::move(handler)});
}

const Router::Route* Router::Find(const HttpRequest& request, bool& path_known) const {
  const std::string_view method = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (route.prefix ? !request.path.starts_with(route.path) : request.path != route.path) continue;
    path_known = true;
    if (!route.method.empty() && route.method != method) continue;
    if (!best || route.path.size() > best->path.size()) best = &route;
  }
  return best;
}

Awaitable<void> Router::Handle(HttpRequest& request, ResponseWriter& out) const {
  const auto start = std::chrono::steady_clock::now();
  CountingWriter writer(out);
  bool path_known = false;
  const Route* route = Find(request, path_known);
  if (route) {
    co_await route->handler(request, writer);
  } else if (path_known) {
    const Error error{Code::kUnimplemented, "METHOD_NOT_ALLOWED",
                      fmt::format("{} is not possible here", request.method)};
    HttpResponse refusal = ErrorResponse(ErrorStyleOf(request.path), error);
    co_await writer.Send(std::move(refusal));
  } else {
    const Error error{Code::kNotFound, "UNKNOWN_PATH", "there is nothing at this path; see /openapi.json"};
    HttpResponse refusal = ErrorResponse(ErrorStyleOf(request.path), error);
    co_await writer.Send(std::move(refusal));
  }
  CountHttpRequest(route ? route->label : "none", writer.status, std::chrono::steady_clock::now() - start);
}

}  // namespace allod::gateway
