#include "gateway/http/router.h"

#include <algorithm>

#include "gateway/http/error.h"
#include "gateway/http/forwarding_writer.h"
#include "gateway/telemetry/gateway_metrics.h"

namespace allod::gateway::http {
namespace {

// Of a body that strangers send.
constexpr std::size_t kFormBytesMax = 32 << 10;
constexpr char kStrangers[] = "strangers";

// Remembers the status for the metrics.
class CountingWriter final : public ForwardingWriter {
 public:
  using ForwardingWriter::ForwardingWriter;

  Awaitable<Taken> Send(Response response) override {
    status = response.status;
    return ForwardingWriter::Send(std::move(response));
  }
  Awaitable<bool> StartStream(Headers headers) override {
    status = 200;
    return ForwardingWriter::StartStream(std::move(headers));
  }

  int status = 0;
};

// "GET" stands for HEAD too, and OPTIONS is always possible.
std::string AllowOf(const std::vector<std::string>& methods) {
  std::string out;
  for (const std::string& method : methods) out += method == "GET" ? "GET, HEAD, " : method + ", ";
  return out + "OPTIONS";
}

}  // namespace

void Router::Add(std::string method, std::string path, std::string label, Access access, Handler handler) {
  const bool prefix = path.ends_with('*');
  if (prefix) path.pop_back();
  const MethodsOf methods = [method = std::move(method)](std::string_view) { return std::vector{method}; };
  routes_.push_back({std::move(path), prefix, std::move(label), access, methods, std::move(handler)});
}

void Router::AddPrefix(std::string prefix, std::string label, MethodsOf methods, Handler handler) {
  routes_.push_back({std::move(prefix), true, std::move(label), Access::kKey, std::move(methods), std::move(handler)});
}

const Router::Route* Router::Find(const Request& head, std::vector<std::string>& methods) const {
  const std::string_view method = head.method == "HEAD" ? "GET" : std::string_view(head.method);
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (route.prefix ? !head.path.starts_with(route.path) : head.path != route.path) continue;
    for (std::string& taken : route.methods(head.path)) {
      if (taken == method && (!best || route.path.size() > best->path.size())) best = &route;
      if (std::ranges::find(methods, taken) == methods.end()) methods.push_back(std::move(taken));
    }
  }
  return best;
}

std::expected<BodyAccount, Response> Router::Admit(const Request& head) {
  const ErrorStyle style = ErrorStyleOf(head.path);
  if (const Status target = CheckTarget(head); !target) return std::unexpected(ErrorResponse(style, target.error()));
  std::vector<std::string> methods;
  const Route* route = Find(head, methods);
  if (methods.empty()) {
    return std::unexpected(
        ErrorResponse(style, {Code::kNotFound, "UNKNOWN_PATH", "there is nothing at this path; see /openapi.json"}));
  }
  const std::string allow = AllowOf(methods);
  if (head.method == "OPTIONS") {
    Response response;
    response.status = 204;
    response.headers = cors_.PreflightHeaders(head, allow);
    response.headers.emplace_back("allow", allow);
    return std::unexpected(std::move(response));
  }
  if (!route) return std::unexpected(MethodNotAllowed(style, head.method, allow));
  if (route->access == Access::kKey) {
    Result<BodyAccount> account = authenticate_(head);
    if (!account) return std::unexpected(ErrorResponse(style, account.error()));
    return *std::move(account);
  }
  if (route->access == Access::kForm) return BodyAccount{kStrangers, head.ClientText(), kFormBytesMax, true};
  if (head.has_body) {
    return std::unexpected(
        ErrorResponse(style, {Code::kInvalidArgument, "BODY_NOT_TAKEN", "a request for this path has no body"}));
  }
  return BodyAccount{};
}

Awaitable<void> Router::Handle(Request& request, ResponseWriter& out) {
  const auto start = std::chrono::steady_clock::now();
  CountingWriter writer(out);
  std::vector<std::string> methods;
  const Route* route = Find(request, methods);
  if (!route) co_return;  // was refused by Admit()
  co_await route->handler(request, writer);
  telemetry::CountHttpRequest(route->label, writer.status, std::chrono::steady_clock::now() - start);
}

void Router::OnRefused(const Request& head, int status) {
  std::vector<std::string> methods;
  const Route* route = Find(head, methods);
  const auto elapsed = std::chrono::system_clock::now() - head.receive_time;
  telemetry::CountHttpRequest(route ? route->label : "none", status, std::max(elapsed, elapsed.zero()));
}

}  // namespace allod::gateway::http
