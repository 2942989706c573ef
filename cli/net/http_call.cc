#include "cli/net/http_call.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "cli/net/json_fields.h"
#include "services/common/percent.h"
#include "services/common/rpc/http_binding.h"

namespace allod::cli::net {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// Where the field at a dotted path of proto names stands in the JSON form of its message.
json::json_pointer PlaceOf(const Descriptor& type, std::string_view path) {
  json::json_pointer out;
  const Descriptor* at = &type;
  while (!path.empty() && at != nullptr) {
    const std::size_t dot = path.find('.');
    const FieldDescriptor* field = at->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) break;
    out /= field->json_name();
    at = field->message_type();
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return out;
}

std::string TextOf(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Of messages the fields that are set, "person.subject".
void AddParameters(const std::string& name, const json& value, Pairs& out) {
  if (value.is_object()) {
    for (const auto& [member, inner] : value.items()) {
      AddParameters(name.empty() ? member : name + "." + member, inner, out);
    }
  } else if (value.is_array()) {
    for (const json& item : value) AddParameters(name, item, out);
  } else {
    out.emplace_back(name, TextOf(value));
  }
}

// By this binding, if the request's names fit its path.
std::optional<HttpCall> CallBy(const HttpBinding& binding, const Descriptor& type, json request) {
  const auto path = binding.path.Fill([&](const std::string& field) {
    const json::json_pointer place = PlaceOf(type, field);
    return request.contains(place) ? TextOf(request.at(place)) : std::string();
  });
  if (!path) return std::nullopt;
  // What the path says is said once.
  for (const PathTemplate::Variable& variable : binding.path.variables()) {
    const json::json_pointer place = PlaceOf(type, variable.field);
    request.at(place.parent_pointer()).erase(place.back());
  }
  HttpCall out{binding.http_method, *path, ""};
  if (binding.body == "*") {
    out.json = request.dump();
    return out;
  }
  if (!binding.body.empty()) {
    const std::string name = type.FindFieldByName(binding.body)->json_name();
    out.json = request.value(name, json::object()).dump();
    request.erase(name);
  }
  Pairs parameters;
  AddParameters("", request, parameters);
  if (!parameters.empty()) out.target += "?" + FormOf(parameters);
  return out;
}

Code CodeOfStatus(int status) {
  switch (status) {
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kPermissionDenied;
    case 404:
      return Code::kNotFound;
    case 429:
      return Code::kResourceExhausted;
    default:
      return status >= 500 ? Code::kUnavailable : Code::kInvalidArgument;
  }
}

Code CodeNamed(const std::string& name, int status) {
  for (int code = static_cast<int>(Code::kCancelled); code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    if (CodeName(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  }
  return CodeOfStatus(status);
}

}  // namespace

Result<HttpCall> HttpCallOf(const MethodDescriptor& method, const Message& request) {
  ALLOD_TRY(const std::vector<HttpBinding> bindings, HttpBindingsOf(method));
  if (bindings.empty() || method.client_streaming() || method.server_streaming()) {
    return FailedPrecondition(
        "OPERATORS_ONLY",
        fmt::format("{}.{} is no part of the portal API: operators call it, at the sockets of their installation",
                    method.service()->name(), method.name()));
  }
  std::string text;
  const auto written = google::protobuf::util::MessageToJsonString(request, &text);
  json whole = written.ok() ? json::parse(text, nullptr, false) : json();
  if (!whole.is_object()) return InvalidArgument("INVALID_REQUEST", "the request cannot be written as JSON");
  for (const HttpBinding& binding : bindings) {
    if (auto call = CallBy(binding, *method.input_type(), whole)) return *std::move(call);
  }
  return InvalidArgument("INVALID_NAME",
                         fmt::format("{}.{} is asked for by a name of the form {} through the portal API",
                                     method.service()->name(), method.name(), bindings.front().path_text));
}

Status ReadAnswer(std::string_view body, Message& answer) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(body), &answer, options);
  if (status.ok()) return {};
  return Fail(Code::kUnavailable, "NO_GATEWAY",
              "the answer is none of a gateway's; is the address right, and `allod` not much older than the gateway?");
}

Error ErrorOf(int status, std::string_view body, std::string_view url) {
  const json problem = json::parse(body, nullptr, false);
  const bool is_problem = problem.is_object() && !TextIn(problem, "reason").empty();
  if (!is_problem) return {CodeOfStatus(status), "HTTP_ERROR", fmt::format("{} answered {}", url, status)};
  return {CodeNamed(TextIn(problem, "code"), status), TextIn(problem, "reason"), TextIn(problem, "detail")};
}

}  // namespace allod::cli::net
