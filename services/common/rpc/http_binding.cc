#include "services/common/rpc/http_binding.h"

#include <fmt/format.h>

#include <tuple>
#include <utility>

#include "google/api/annotations.pb.h"

namespace allod {
namespace {

using google::api::HttpRule;
using google::protobuf::MethodDescriptor;

std::unexpected<Error> BadHttpRule(const MethodDescriptor& method, std::string_view why) {
  return InvalidArgument("INVALID_HTTP_RULE", fmt::format("{}: {}", method.full_name(), why));
}

Result<HttpBinding> BindingOf(const MethodDescriptor& method, const HttpRule& rule) {
  HttpBinding out;
  out.body = rule.body();
  switch (rule.pattern_case()) {
    case HttpRule::kGet:
      std::tie(out.http_method, out.path_text) = std::pair("GET", rule.get());
      break;
    case HttpRule::kPut:
      std::tie(out.http_method, out.path_text) = std::pair("PUT", rule.put());
      break;
    case HttpRule::kPost:
      std::tie(out.http_method, out.path_text) = std::pair("POST", rule.post());
      break;
    case HttpRule::kDelete:
      std::tie(out.http_method, out.path_text) = std::pair("DELETE", rule.delete_());
      break;
    case HttpRule::kPatch:
      std::tie(out.http_method, out.path_text) = std::pair("PATCH", rule.patch());
      break;
    case HttpRule::kCustom:
      std::tie(out.http_method, out.path_text) = std::pair(rule.custom().kind(), rule.custom().path());
      break;
    case HttpRule::PATTERN_NOT_SET:
      return BadHttpRule(method, "the HTTP rule has no pattern");
  }
  auto path = PathTemplate::Parse(out.path_text);
  if (!path) return Fail(path.error().code, path.error().reason, method.full_name() + ": " + path.error().message);
  out.path = *std::move(path);
  return out;
}

HttpRule OperationsRule(const std::string& method) {
  HttpRule out;
  if (method == "GetOperation") out.set_get("/v1/{name=tenants/*/operations/*}");
  if (method == "ListOperations") out.set_get("/v1/{name=tenants/*}/operations");
  if (method == "WaitOperation") {
    out.set_post("/v1/{name=tenants/*/operations/*}:wait");
    out.set_body("*");
  }
  return out;
}

}  // namespace

Result<std::vector<HttpBinding>> HttpBindingsOf(const MethodDescriptor& method) {
  std::vector<HttpBinding> out;
  const bool is_operations = method.service()->full_name() == "google.longrunning.Operations";
  if (!is_operations && !method.options().HasExtension(google::api::http)) return out;
  const HttpRule rule =
      is_operations ? OperationsRule(method.name()) : method.options().GetExtension(google::api::http);
  if (is_operations && rule.pattern_case() == HttpRule::PATTERN_NOT_SET) return out;
  ALLOD_TRY(HttpBinding first, BindingOf(method, rule));
  out.push_back(std::move(first));
  for (const HttpRule& more : rule.additional_bindings()) {
    ALLOD_TRY(HttpBinding other, BindingOf(method, more));
    out.push_back(std::move(other));
  }
  return out;
}

}  // namespace allod
