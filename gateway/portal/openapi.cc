#include "gateway/portal/openapi.h"

#include <algorithm>

#include "gateway/portal/openapi_access.h"
#include "gateway/portal/openapi_openai.h"
#include "gateway/portal/openapi_problems.h"
#include "gateway/portal/openapi_schema.h"

namespace allod::gateway::portal {
namespace {

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

// "tenancy" of "allod.tenancy.v1".
std::string AreaOf(const std::string& package) {
  const std::size_t begin = package.find('.') + 1;
  return package.substr(begin, package.find('.', begin) - begin);
}

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

Json JsonContent(Json schema) {
  Json out;
  out["application/json"]["schema"] = std::move(schema);
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

// "ProjectService_GetProject"; of a service that several areas have, "BillingAuditService_GetAuditHead"; of a method
// with several paths, from the second on, "QuotaService_GetQuotaUse_2".
std::string OperationId(const PortalRoute& route, const std::vector<PortalRoute>& routes) {
  const pb::ServiceDescriptor& service = *route.method->service();
  std::string id = service.name() + "_" + route.method->name();
  const bool is_one_of_several = std::ranges::any_of(routes, [&](const PortalRoute& other) {
    return other.method->service()->name() == service.name() && other.method->service() != &service;
  });
  if (is_one_of_several) {
    std::string area = AreaOf(service.file()->package());
    area[0] = static_cast<char>(area[0] - 'a' + 'A');
    id = area + id;
  }
  int number = 1;
  for (const PortalRoute& other : routes) {
    if (&other == &route) break;
    if (other.method == route.method) ++number;
  }
  return number == 1 ? id : id + "_" + std::to_string(number);
}

Json PortalOperation(const PortalRoute& route, const std::string& id, Json& schemas) {
  Json out;
  out["operationId"] = id;
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
  out["responses"].update(ProblemsOf(route));
  return out;
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

std::string OpenApiJson(const Transcoder& transcoder, const std::string& session_cookie) {
  Json schemas = Json::object();
  Json paths = Json::object();
  schemas["Problem"] = ProblemSchema();
  AddOpenAiPaths(paths, schemas);
  for (const PortalRoute& route : transcoder.routes()) {
    Json operation = PortalOperation(route, OperationId(route, transcoder.routes()), schemas);
    if (!AddAccess(route, session_cookie, operation)) continue;
    paths[kPortalPrefix + OpenApiPath(route.path)][LowerCase(route.http_method)] = std::move(operation);
  }
  Json out;
  out["openapi"] = "3.1.0";
  out["info"] = {
      {"title", "Allod"}, {"version", "v1"}, {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}};
  out["paths"] = std::move(paths);
  out["components"]["securitySchemes"] = SecuritySchemes(session_cookie);
  out["components"]["responses"] = ProblemResponses();
  out["components"]["schemas"] = std::move(schemas);
  return out.dump();
}

}  // namespace allod::gateway::portal
