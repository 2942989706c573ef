#include "gateway/portal/openapi.h"

#include <algorithm>
#include <optional>

#include "gateway/portal/openapi_openai.h"
#include "gateway/portal/openapi_schema.h"
#include "gateway/portal/transcoder_json.h"
#include "services/common/rpc/access.h"

namespace allod::gateway::portal {
namespace {

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

// "tenants" -> "tenant": what stands for the `*` behind a collection.
std::string Singular(const std::string& collection) {
  return collection.ends_with('s') ? collection.substr(0, collection.size() - 1) : collection + "Id";
}

Json Parameter(const std::string& name, const char* in, Json schema) {
  Json out;
  out["name"] = name;
  out["in"] = in;
  out["required"] = std::string_view(in) == "path";
  out["schema"] = std::move(schema);
  return out;
}

Json JsonContent(Json schema, const char* media_type = "application/json") {
  Json out;
  out[media_type]["schema"] = std::move(schema);
  return out;
}

Json Answer(const char* description, Json content) {
  Json out;
  out["description"] = description;
  out["content"] = std::move(content);
  return out;
}

Json PathParameters(const PathTemplate& path) {
  Json out = Json::array();
  const auto& segments = path.segments();
  for (std::size_t i = 1; i < segments.size(); ++i) {
    if (segments[i].kind == PathTemplate::Kind::kLiteral) continue;
    out.push_back(Parameter(Singular(segments[i - 1].literal), "path", {{"type", "string"}}));
  }
  return out;
}

bool BoundByPath(const PortalRoute& route, const std::string& field) {
  return std::ranges::any_of(route.path.variables(), [&](const auto& variable) { return variable.field == field; });
}

Json QueryParameters(const PortalRoute& route, Json& schemas) {
  Json out = Json::array();
  if (route.body == "*") return out;
  const pb::Descriptor& type = *route.method->input_type();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    if (field.name() == route.body || BoundByPath(route, field.name())) continue;
    out.push_back(Parameter(field.json_name(), "query", FieldSchema(field, schemas)));
  }
  return out;
}

Json PortalOperation(const PortalRoute& route, Json& schemas) {
  Json out;
  out["operationId"] = route.method->service()->name() + "_" + route.method->name();
  out["tags"] = Json::array({route.method->service()->name()});
  Json parameters = PathParameters(route.path);
  for (Json& parameter : QueryParameters(route, schemas)) parameters.push_back(std::move(parameter));
  out["parameters"] = std::move(parameters);
  const pb::Descriptor& input = *route.method->input_type();
  if (route.body == "*") {
    out["requestBody"]["content"] = JsonContent(MessageSchema(input, schemas));
  } else if (!route.body.empty()) {
    out["requestBody"]["content"] = JsonContent(FieldSchema(*input.FindFieldByName(route.body), schemas));
  }
  out["responses"]["200"] = Answer("Done", JsonContent(MessageSchema(*route.method->output_type(), schemas)));
  out["responses"]["default"] =
      Answer("Refused or failed", JsonContent({{"$ref", "#/components/schemas/Problem"}}, "application/problem+json"));
  return out;
}

// A name that the path's variable for `field` takes.
std::string SampleName(const PathTemplate& path, const std::string& field) {
  const auto variable = std::ranges::find(path.variables(), field, &PathTemplate::Variable::field);
  if (variable == path.variables().end()) return "";
  std::string out;
  for (std::size_t i = variable->begin; i < variable->end; ++i) {
    const PathTemplate::Segment& segment = path.segments()[i];
    out += (out.empty() ? "" : "/") + (segment.kind == PathTemplate::Kind::kLiteral ? segment.literal : "x");
  }
  return out;
}

// What the method declares; none for google.longrunning.Operations, where the service whose operations are asked about
// does, and filters them.
std::optional<Method> Declared(const PortalRoute& route) {
  if (!route.method->options().HasExtension(::allod::access::v1::access)) return std::nullopt;
  const Result<Method> method = DescribeMethod(*route.method);
  return method ? std::optional(*method) : std::nullopt;
}

// Whether it admits a key of the tenant and project that the path names.
bool AKeyMayCall(const PortalRoute& route) {
  const auto method = Declared(route);
  if (!method) return true;
  const std::string resource = SampleName(route.path, method->access.resource());
  return CheckAccess(*method, Caller::Key("x", "x", {}, kRolesOfKeys), resource).has_value();
}

// Which of a key's roles have the permission that the method needs.
void AddPermission(const PortalRoute& route, Json& operation) {
  const auto method = Declared(route);
  if (!method) return;
  Json roles = Json::array();
  for (const Role role : method->roles.List()) {
    if (kRolesOfKeys.Has(role)) roles.push_back(WordOfRole(role));
  }
  operation["x-allod-permission"] = method->access.permission();
  operation["x-allod-roles"] = std::move(roles);
}

void AddProblemSchema(Json& schemas) {
  const Json text = {{"type", "string"}};
  schemas["Problem"] = {{"type", "object"},
                        {"properties",
                         {{"type", text},
                          {"title", text},
                          {"status", {{"type", "integer"}}},
                          {"detail", text},
                          {"code", text},
                          {"reason", text}}}};
}

std::string LowerCase(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return text;
}

}  // namespace

std::string OpenApiPath(const PathTemplate& path) {
  std::string out;
  const auto& segments = path.segments();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool literal = segments[i].kind == PathTemplate::Kind::kLiteral;
    out += "/" + (literal || i == 0 ? segments[i].literal : "{" + Singular(segments[i - 1].literal) + "}");
  }
  return path.verb().empty() ? out : out + ":" + path.verb();
}

std::string OpenApiJson(const Transcoder& transcoder) {
  Json schemas = Json::object();
  Json paths = Json::object();
  AddProblemSchema(schemas);
  AddOpenAiPaths(paths, schemas);
  for (const PortalRoute& route : transcoder.routes()) {
    if (!AKeyMayCall(route)) continue;
    Json operation = PortalOperation(route, schemas);
    AddPermission(route, operation);
    paths[kPortalPrefix + OpenApiPath(route.path)][LowerCase(route.http_method)] = std::move(operation);
  }
  Json out;
  out["openapi"] = "3.1.0";
  out["info"] = {
      {"title", "Allod"}, {"version", "v1"}, {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}};
  out["security"] = Json::array({{{"apiKey", Json::array()}}});
  out["paths"] = std::move(paths);
  out["components"]["securitySchemes"]["apiKey"] = {{"type", "http"}, {"scheme", "bearer"}};
  out["components"]["schemas"] = std::move(schemas);
  return out.dump();
}

}  // namespace allod::gateway::portal
