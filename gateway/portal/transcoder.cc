#include "gateway/portal/transcoder.h"

#include <fmt/format.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>

#include <memory>
#include <optional>
#include <set>

#include "gateway/portal/transcoder_json.h"
#include "services/common/ids.h"
#include "services/common/text_check.h"

namespace allod::gateway::portal {
namespace {

namespace pb = google::protobuf;

std::unexpected<Error> BadRule(const pb::MethodDescriptor& method, std::string_view why) {
  return InvalidArgument("INVALID_HTTP_RULE", fmt::format("{}: {}", method.full_name(), why));
}

std::unique_ptr<pb::Message> NewMessage(const pb::Descriptor* type) {
  return std::unique_ptr<pb::Message>(pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

std::string RequestIdFrom(std::string_view idempotency_key, std::string_view owner) {
  if (const auto uuid = Uuid::Parse(idempotency_key)) return uuid->ToString();
  return Uuid::FromName(fmt::format("{}/idempotencyKeys/{}", owner, idempotency_key)).ToString();
}

}  // namespace

std::string PortalRoute::RpcPath() const {
  return fmt::format("/{}/{}", method->service()->full_name(), method->name());
}

Result<Transcoder> Transcoder::Build(const std::vector<PortalService>& services) {
  Transcoder out;
  for (const PortalService& service : services) ALLOD_CHECK_OK(out.AddService(service));
  return out;
}

Status Transcoder::AddService(const PortalService& service) {
  if (!service.service) return Internal("a service of the portal is not declared in its file");
  for (int i = 0; i < service.service->method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.service->method(i);
    ALLOD_TRY(std::vector<HttpBinding> bindings, HttpBindingsOf(method));
    for (HttpBinding& binding : bindings) ALLOD_CHECK_OK(AddRoute(method, service, std::move(binding)));
  }
  return {};
}

Status Transcoder::AddRoute(const pb::MethodDescriptor& method, const PortalService& service, HttpBinding binding) {
  if (method.client_streaming() || method.server_streaming())
    return BadRule(method, "streams have no HTTP mapping here");
  if (!binding.body.empty() && binding.body != "*" && !method.input_type()->FindFieldByName(binding.body)) {
    return BadRule(method, fmt::format("the request has no field {}", binding.body));
  }
  for (const PathTemplate::Variable& variable : binding.path.variables()) {
    if (!FindField(*method.input_type(), variable.field)) {
      return BadRule(method, fmt::format("the request has no field {}", variable.field));
    }
  }
  routes_.push_back({std::move(binding), &method, service.backend, service.operations_of});
  return {};
}

Result<Transcoder::Match> Transcoder::Find(std::string_view http_method, std::string_view path) const {
  std::optional<Match> found;
  bool other_method = false;
  for (const PortalRoute& route : routes_) {
    auto bindings = route.path.Match(path);
    if (!bindings) continue;
    if (route.http_method != http_method) {
      other_method = true;
    } else if (!found || found->route->path.verb().size() < route.path.verb().size()) {
      // `x:document` is `document` of x rather than what is called so.
      found = Match{&route, *std::move(bindings)};
    }
  }
  if (found) return *std::move(found);
  if (other_method) {
    return Fail(Code::kUnimplemented, "METHOD_NOT_ALLOWED",
                fmt::format("{} is not possible on this resource", http_method));
  }
  return Fail(Code::kNotFound, "UNKNOWN_PATH", "there is nothing at this path; see /openapi.json");
}

std::vector<std::string> Transcoder::MethodsOf(std::string_view path) const {
  std::vector<std::string> out;
  for (const PortalRoute& route : routes_) {
    if (route.path.Match(path)) out.push_back(route.http_method);
  }
  return out;
}

Result<std::string> Transcoder::EncodeRequest(const Match& match, std::string_view query, std::string_view body,
                                              std::string_view idempotency_key, std::string_view owner) const {
  const PortalRoute& route = *match.route;
  const pb::Descriptor& type = *route.method->input_type();
  nlohmann::json request = nlohmann::json::object();
  if (!body.empty()) {
    if (route.body.empty()) return InvalidArgument("INVALID_REQUEST", "this method takes no body");
    ALLOD_TRY(nlohmann::json parsed, ParseBody(body));
    if (route.body == "*") {
      request = std::move(parsed);
    } else {
      request[type.FindFieldByName(route.body)->json_name()] = std::move(parsed);
    }
  }
  ALLOD_TRY(const auto parameters, http::ParseQuery(query));
  std::set<std::string> given;
  for (const auto& [name, value] : parameters) {
    if (route.body == "*") return InvalidArgument("INVALID_REQUEST", "this method takes no query parameters: " + name);
    const pb::FieldDescriptor* field = FindField(type, name);
    const std::string parent = name.substr(0, name.rfind('.') + 1);
    if (field && !field->is_repeated() && !given.insert(parent + field->json_name()).second) {
      return InvalidArgument("INVALID_REQUEST", fmt::format("query parameter: {} is given more than once", name));
    }
    ALLOD_CHECK_OK(SetField(type, name, value, "query parameter", request));
  }
  for (const auto& [field, value] : match.bindings) ALLOD_CHECK_OK(SetField(type, field, value, "path", request));
  if (!idempotency_key.empty() && type.FindFieldByName("request_id")) {
    ALLOD_CHECK_OK(CheckText("Idempotency-Key header", idempotency_key, 1, 255));
    ALLOD_CHECK_OK(
        SetField(type, "request_id", RequestIdFrom(idempotency_key, owner), "Idempotency-Key header", request));
  }
  const std::unique_ptr<pb::Message> message = NewMessage(&type);
  const auto status = pb::util::JsonStringToMessage(request.dump(), message.get());
  if (!status.ok()) return InvalidArgument("INVALID_REQUEST", std::string(status.message()));
  return message->SerializeAsString();
}

Result<std::string> Transcoder::DecodeResponse(const PortalRoute& route, const std::string& bytes) const {
  const std::unique_ptr<pb::Message> message = NewMessage(route.method->output_type());
  if (!message->ParseFromString(bytes)) return Internal("a service gave an answer that is not of its declared type");
  pb::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string out;
  const auto status = pb::util::MessageToJsonString(*message, &out, options);
  if (!status.ok()) return Internal(fmt::format("cannot write the answer as JSON: {}", std::string(status.message())));
  return out;
}

}  // namespace allod::gateway::portal
